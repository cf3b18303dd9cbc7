import pytest
import torch
from tests.attacks import linear as exact
from tests.attacks.linear import linear
from tests.attacks.nearest_points import check, check_failure, found

from onelip.attacks import deepfool

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # foolbox imports what SciPy has moved


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_points_are_what_they_are_said_to_be(norm):
    check(deepfool, norm=norm)


def test_of_linear_classes_it_finds_the_nearest_point():
    model, x, y = linear()
    truth = exact.distances(model, x, y).double()
    _, distance = deepfool(model, x, y, overshoot=0.0, box=(-9.0, 9.0))
    # It goes 1e-4 of a step beyond the boundary.
    assert torch.allclose(distance, truth, rtol=1e-3, atol=2e-4)
    assert bool((distance >= truth * (1 - 1e-5)).all())
    w, z = model.weight.detach(), model(x).detach()
    gaps = (z.gather(1, y[:, None]) - z) / (w[y][:, None] - w).abs().sum(2).clamp_min(1e-12)
    truth = gaps.scatter(1, y[:, None], torch.inf).amin(1).double()
    _, distance = deepfool(model, x, y, norm="linf", overshoot=0.0, box=(-9.0, 9.0))
    assert torch.allclose(distance, truth, rtol=1e-3, atol=2e-4)


def test_options_have_their_effect():
    _, usual = found(deepfool)
    _, far = found(deepfool, overshoot=0.3)
    assert float(far.sum()) > float(usual.sum())
    _, narrow = found(deepfool, candidates=2)
    assert float(narrow.sum()) > float(usual.sum())
    _, short = found(deepfool, steps=1)
    assert int(short.isfinite().sum()) < int(usual.isfinite().sum())


def test_where_nothing_is_to_be_found():
    check_failure(deepfool, steps=3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": -1}, "steps=-1 of attack='deepfool' is out of range"),
        ({"candidates": 1}, "candidates=1"),
        ({"overshoot": -0.1}, "overshoot=-0.1"),
        ({"norm": "l1"}, "norm='l1'"),
    ],
)
def test_bad_arguments(options, words):
    with pytest.raises(ValueError, match=words):
        deepfool(*linear(), **options)
