import pytest
import torch
from tests.attacks import linear as exact
from tests.attacks.linear import linear
from tests.attacks.nearest_points import check, check_failure, found

from onelip.attacks import pointwise

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # foolbox imports what SciPy has moved


def test_points_are_what_they_are_said_to_be():
    check(pointwise, steps=50)


def test_no_pixel_can_be_put_back_by_itself():
    model, x, y = linear(2)
    points, distance = pointwise(model, x, y, steps=100, generator=torch.Generator().manual_seed(0))
    assert bool((distance >= exact.distances(model, x, y).double() * (1 - 1e-5)).all())
    for pixel in range(8):
        back = points.clone()
        back[:, pixel] = x[:, pixel]
        changed = (points[:, pixel] - x[:, pixel]).abs() > 1e-6
        assert bool((model(back).argmax(1) == y)[changed].all())


def test_options_have_their_effect():
    _, usual = found(pointwise, steps=50)
    assert float(found(pointwise, steps=50, bisect=False)[1].sum()) > float(usual.sum())
    assert not torch.equal(found(pointwise, steps=5)[1], usual)
    # Without noise it starts elsewhere.
    assert bool(found(pointwise, steps=0)[1].isfinite().all())


def test_where_nothing_is_to_be_found():
    check_failure(pointwise, steps=5)


def test_bad_arguments():
    with pytest.raises(ValueError, match="steps=-1 of attack='pointwise' is out of range"):
        pointwise(*linear(), steps=-1)
