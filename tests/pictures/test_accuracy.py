"""What is known of the accuracy at every radius."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from onelip.pictures import RobustAccuracy, UnderAttack
from onelip.pictures.accuracy import certified_curve, radius_limit

PROVED, ATTACK = (0x1C, 0x5F, 0xB8), (0xB3, 0x50, 0x0C)

radii_lists = st.lists(st.floats(0.0, 3.0), min_size=1, max_size=60)


def value_at(points, radius):
    return [share for start, share in points if start <= radius][-1]


@example(radii=[1.0], limit=1.0, where=1.0)
@given(radii=radii_lists, limit=st.floats(0.1, 5.0), where=st.floats(0.0, 1.0))
def test_the_curve_is_never_above_the_certified_accuracy(radii, limit, where):
    points = certified_curve(radii, limit)
    radius = where * limit
    true = float((np.array(radii) > radius).mean())
    assert value_at(points, radius) <= true + 1e-12
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    shares = [share for _, share in points]
    assert shares == sorted(shares, reverse=True)
    assert (points[0][0], points[-1][0]) == (0.0, limit)


def test_the_curve_of_a_few_samples_is_exact():
    assert certified_curve([0.0, 0.5, 0.5, 1.0], 2.0) == [(0.0, 0.75), (0.5, 0.25), (1.0, 0.0), (2.0, 0.0)]


def test_many_samples_give_a_curve_of_bounded_size():
    radii = np.random.default_rng(0).uniform(0, 1, 20_000)
    points = certified_curve(radii, 1.0)
    assert len(points) < 1100
    for radius in (0.1, 0.333, 0.9):
        assert value_at(points, radius) == pytest.approx((radii > radius).mean(), abs=2e-3)


def test_an_unbounded_radius_does_not_stretch_the_axis():
    assert 1.0 < radius_limit([0.0, *[0.5] * 500, 1e12], [1.0]) < 1.2
    assert radius_limit([0.0, 0.0], []) == pytest.approx(1.0)


def test_an_attack_starts_from_its_clean_accuracy():
    assert UnderAttack("pgd", (0.5,), (0.2,), 0.9, 10).points == [(0.0, 0.9), (0.5, 0.2)]
    assert UnderAttack("pgd", (0.0, 0.5), (0.8, 0.2), 0.9, 10).points == [(0.0, 0.8), (0.5, 0.2)]


def test_the_axis_reaches_every_attack_and_relaxation():
    known = RobustAccuracy(
        "l2", 0.9, np.array([0.1, 0.2]), True, (UnderAttack("pgd", (0.5,), (0.2,), 0.9, 2),), ((2.0, 0.1),)
    )
    assert known.limit == pytest.approx(2.12)
    assert RobustAccuracy("l2", 0.9).limit == pytest.approx(1.0)


@pytest.mark.parametrize(("certified", "attacked"), [(True, True), (True, False), (False, True)])
def test_what_is_known_is_drawn(tmp_path, certified, attacked):
    attacks = (UnderAttack("pgd", (0.5, 1.0), (0.6, 0.2), 0.9, 2), UnderAttack("apgd-t", (0.5,), (0.5,), 0.9, 4))
    radii = np.array([0.2, 0.9, 0.0, 1.0]) if certified else None
    path = tmp_path / "a.png"
    RobustAccuracy("linf", 0.9, radii, True, attacks if attacked else (), ((0.3, 0.4),)).plot(path)
    with Image.open(path) as picture:
        assert picture.size == (1280, 760)
        colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 24)}
    assert (PROVED in colours, ATTACK in colours) == (certified, attacked)


def test_an_unknown_format_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.png, \.svg or \.pdf"):
        RobustAccuracy("l2", 0.9).plot(tmp_path / "a.bmp")
