import pytest
import torch
from tests.attacks import linear as exact
from tests.attacks.linear import linear
from tests.attacks.nearest_points import check, check_failure, found

from onelip.attacks import fmn

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # foolbox imports what SciPy has moved


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_points_are_what_they_are_said_to_be(norm):
    check(fmn, norm=norm)


def test_distance_of_two_linear_classes_is_margin_over_norm():
    # The projection of foolbox 3.3.4 leaves l2 points where they are, and they end far beyond.
    model, x, y = linear(2)
    truth = exact.distances(model, x, y).double()
    _, distance = fmn(model, x, y, steps=200)
    assert bool((distance >= truth - 1e-6).all())
    assert torch.allclose(distance, truth, rtol=0.01)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_options_have_their_effect(norm):
    _, usual = found(fmn, norm=norm)
    assert float(found(fmn, norm=norm, steps=8)[1].sum()) > float(usual.sum())
    assert not torch.equal(found(fmn, norm=norm, gamma=0.5)[1], usual)
    assert not torch.equal(found(fmn, norm=norm, step_size=0.1)[1], usual)


def test_where_nothing_is_to_be_found():
    check_failure(fmn, steps=3)


@pytest.mark.parametrize(("key", "value"), [("steps", -1), ("step_size", 0.0), ("gamma", 1.0)])
def test_bad_arguments(key, value):
    with pytest.raises(ValueError, match=f"{key}={value} of attack='fmn' is out of range"):
        fmn(*linear(), **{key: value})
