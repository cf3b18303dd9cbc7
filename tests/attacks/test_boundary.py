import pytest
import torch
from tests.attacks import linear as exact
from tests.attacks.linear import linear
from tests.attacks.nearest_points import check, check_failure, found

from onelip.attacks import boundary

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # foolbox imports what SciPy has moved


def test_points_are_what_they_are_said_to_be():
    check(boundary, steps=100)


def test_it_comes_near_the_boundary_of_two_linear_classes():
    # Samples of a batch share their directions, so that some lag behind.
    model, x, y = linear(2)
    truth = exact.distances(model, x, y).double()
    _, distance = boundary(model, x, y, steps=400, generator=torch.Generator().manual_seed(0))
    assert bool((distance >= truth * (1 - 1e-5)).all())
    assert float((distance / truth).median()) < 2


def test_options_have_their_effect():
    _, usual = found(boundary, steps=60)
    assert float(found(boundary, steps=300)[1].sum()) < float(usual.sum())
    for changed in ({"spherical_step": 0.1}, {"source_step": 0.1}):
        assert not torch.equal(found(boundary, steps=60, **changed)[1], usual)
    longer = {"steps": 500, "source_step": 0.001}
    assert not torch.equal(found(boundary, step_adaptation=3.0, **longer)[1], found(boundary, **longer)[1])
    assert not torch.equal(found(boundary, seed=2, steps=60)[1], usual)


def test_where_nothing_is_to_be_found():
    check_failure(boundary, steps=3)


@pytest.mark.parametrize(
    ("key", "value"), [("steps", -1), ("spherical_step", 0.0), ("source_step", -1.0), ("step_adaptation", 1.0)]
)
def test_bad_arguments(key, value):
    with pytest.raises(ValueError, match=f"{key}={value} of attack='boundary' is out of range"):
        boundary(*linear(), **{key: value})
