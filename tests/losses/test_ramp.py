"""Ramps against values by hand."""

import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelip import losses
from onelip.losses import Ramp


def test_the_record():
    # From 0.1 to 3 times 36/255 over the first half, then constant.
    unit = 36 / 255
    ramp = Ramp(0.1 * unit, 3 * unit, until=0.5)
    expected = {0.0: 0.1, 0.125: 0.1 + 2.9 / 4, 0.25: 1.55, 0.5: 3.0, 0.75: 3.0, 1.0: 3.0}
    assert {p: ramp.value(p) / unit for p in expected} == pytest.approx(expected)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("linear", [2, 2, 3, 4, 6, 6]),
        # (1 - cos(pi / 4)) / 2 of the way after a quarter.
        ("cosine", [2, 2, 4 - math.sqrt(2), 4, 6, 6]),
    ],
)
def test_shapes_by_hand(shape, expected):
    ramp = Ramp(2, 6, until=0.6, from_=0.2, shape=shape)
    assert [ramp.value(p) for p in (0.0, 0.2, 0.3, 0.4, 0.6, 1.0)] == pytest.approx(expected)


def test_a_step():
    ramp = Ramp(5.0, 1.0, until=0.5, shape="step")
    assert [ramp.value(p) for p in (0.0, 0.49999, 0.5, 1.0)] == [5.0, 5.0, 1.0, 1.0]


@given(st.floats(-9, 9), st.floats(-9, 9), st.floats(0, 1), st.sampled_from(["linear", "cosine", "step"]))
def test_it_stays_between_its_ends_and_reaches_them_exactly(start, end, progress, shape):
    ramp = Ramp(start, end, until=0.7, shape=shape)
    assert min(start, end) - 1e-12 <= ramp.value(progress) <= max(start, end) + 1e-12
    assert (ramp.value(0.0), ramp.value(0.7), ramp.value(1.0)) == (start, end, end)


def test_mappings_are_ramps():
    mapping = {"start": 1, "end": 2, "until": 0.5, "from": 0.1, "shape": "cosine"}
    ramp = Ramp.from_mapping(mapping, "radius in EMMA")
    assert ramp == Ramp(1, 2, 0.5, 0.1, "cosine")
    assert pickle.loads(pickle.dumps(ramp)) == ramp
    loss = losses.build("emma", radius=mapping)
    assert loss.radius == 1.0
    loss.set_progress(0.3)
    assert loss.radius == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("mapping", "sentence"),
    [
        (
            {"start": 1, "end": 2, "til": 0.5},
            "key 'til' is unknown; did you mean 'until'.* in the ramp of radius in EMMA",
        ),
        ({"start": 1}, "the ramp of radius in EMMA has no end; it needs start and end"),
        ({}, "has no start and no end"),
        ({"start": 1, "end": "wide"}, "end='wide' in Ramp must be a finite number"),
        ({"start": math.nan, "end": 2}, "start=nan in Ramp"),
        ({"start": 1, "end": True}, "end=True in Ramp"),
        ({"start": 1, "end": 2, "until": 1.5}, "until=1.5 in Ramp must be parts of the training"),
        ({"start": 1, "end": 2, "from": 0.5, "until": 0.5}, "from=0.5 and until=0.5"),
        ({"start": 1, "end": 2, "shape": "linar"}, "shape of a Ramp 'linar' is unknown; did you mean 'linear'"),
        ({"start": 1, "end": 2, "from": 0.1, "shape": "step"}, "from=0.1 in Ramp has no effect on a step"),
        ({"start": -1, "end": 2}, "radius.start=-1 in EMMA must be >= 0"),
        ({"start": 1, "end": -2}, "radius.end=-2 in EMMA must be >= 0"),
    ],
)
def test_mistakes_are_one_sentence(mapping, sentence):
    with pytest.raises(ValueError, match=sentence):
        losses.build("emma", radius=mapping)


def test_a_scheduled_option_is_a_number_a_ramp_or_a_mapping():
    ramp = Ramp(1.0, 2.0)
    assert Ramp.of(ramp, "radius") is ramp
    assert Ramp.of({"start": 1.0, "end": 2.0}, "radius") == ramp
    assert [Ramp.of(0.3, "radius").value(t) for t in (0.0, 0.5, 1.0)] == [0.3, 0.3, 0.3]
    with pytest.raises(ValueError, match="the ramp of radius has no end"):
        Ramp.of({"start": 1.0}, "radius")
