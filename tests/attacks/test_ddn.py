import pytest
import torch
from tests.attacks import linear as exact
from tests.attacks.linear import linear
from tests.attacks.nearest_points import check, check_failure, found

from onelip.attacks import ddn

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # foolbox imports what SciPy has moved


def test_points_are_what_they_are_said_to_be():
    check(ddn)


def test_distance_of_two_linear_classes_is_margin_over_norm():
    model, x, y = linear(2)
    truth = exact.distances(model, x, y).double()
    _, distance = ddn(model, x, y, steps=200)
    assert bool((distance >= truth * (1 - 1e-5)).all())
    assert torch.allclose(distance, truth, rtol=0.01)


def test_options_have_their_effect():
    _, usual = found(ddn)
    assert float(found(ddn, steps=10)[1].sum()) > float(usual.sum())
    assert not torch.equal(found(ddn, gamma=0.5)[1], usual)
    assert not torch.equal(found(ddn, first_radius=3.0, steps=10)[1], found(ddn, steps=10)[1])


def test_where_nothing_is_to_be_found():
    check_failure(ddn, steps=3)


@pytest.mark.parametrize(("key", "value"), [("steps", -1), ("first_radius", 0.0), ("gamma", 1.0), ("gamma", 0.0)])
def test_bad_arguments(key, value):
    with pytest.raises(ValueError, match=f"{key}={value} of attack='ddn' is out of range"):
        ddn(*linear(), **{key: value})
