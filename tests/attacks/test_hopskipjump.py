import importlib

import pytest
import torch
from tests.attacks import linear as exact
from tests.attacks.linear import linear
from tests.attacks.nearest_points import check, check_failure, found

from onelip.attacks import hopskipjump

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # foolbox imports what SciPy has moved


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_points_are_what_they_are_said_to_be(norm):
    check(hopskipjump, norm=norm, steps=2, first_evaluations=20)


def test_it_comes_near_the_boundary_of_two_linear_classes_in_any_box():
    model, x, y = linear(2)
    truth = exact.distances(model, x, y).double()
    for box in ((0.0, 1.0), (-1.0, 2.0)):
        points, distance = hopskipjump(model, x, y, steps=25, box=box, generator=torch.Generator().manual_seed(0))
        assert bool((distance >= truth * (1 - 1e-5)).all())
        assert float((distance / truth).median()) < 1.2
        assert bool((points >= box[0]).all() & (points <= box[1]).all())


def test_options_have_their_effect():
    less = {"steps": 2, "first_evaluations": 20}
    _, usual = found(hopskipjump, **less)
    assert float(found(hopskipjump, **(less | {"steps": 8}))[1].sum()) < float(usual.sum())
    assert float(found(hopskipjump, **(less | {"first_evaluations": 200}))[1].sum()) < float(usual.sum())
    for changed in ({"most_evaluations": 5}, {"gamma": 300.0}):
        assert not torch.equal(found(hopskipjump, **less, **changed)[1], usual)


def test_many_pixels_are_done_in_groups(monkeypatch):
    monkeypatch.setattr(importlib.import_module("onelip.attacks.hopskipjump"), "LARGEST", 64 * 30 * 5)
    _, distance = found(hopskipjump, steps=2, first_evaluations=20)
    assert bool(distance.isfinite().all())


def test_where_nothing_is_to_be_found():
    check_failure(hopskipjump, steps=2, first_evaluations=5)


@pytest.mark.parametrize(
    ("key", "value"), [("steps", -1), ("first_evaluations", 0), ("most_evaluations", 0), ("gamma", 0.0)]
)
def test_bad_arguments(key, value):
    with pytest.raises(ValueError, match=f"{key}={value} of attack='hopskipjump' is out of range"):
        hopskipjump(*linear(), **{key: value})
