import logging
import sys
import warnings

import pytest
import torch
from tests.attacks.linear import linear
from torch import nn

from onelip.attacks.through_foolbox import check_options, misclassified, nearest_by_foolbox

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # foolbox imports what SciPy has moved

BOX = (0.0, 1.0)


def test_what_is_returned_is_not_believed():
    model, x, y = linear(2)

    def liar(foolbox, wrapped, samples, labels):
        points = samples.clone()
        points[0] = torch.nan
        points[1] = 50.0
        return points.double()

    points, distance = nearest_by_foolbox("liar", liar, model, x, y, norm="l2", box=BOX)
    wrong = model(points).argmax(1) != y
    assert torch.equal(distance.isfinite(), wrong)
    assert torch.equal(points[~wrong], x[~wrong])
    assert bool((points >= 0).all() & (points <= 1).all())


def test_a_sample_that_trips_an_assertion_does_not_stop_the_others():
    model, x, y = linear(2)
    seen = []

    def brittle(foolbox, wrapped, samples, labels):
        seen.append(len(samples))
        assert not bool((samples == x[3]).all(1).any())
        return 1 - samples

    _, distance = nearest_by_foolbox("brittle", brittle, model, x, y, norm="linf", box=BOX)
    assert distance[3] == torch.inf
    assert int(distance.isfinite().sum()) > 20
    assert seen[0] == len(x) > min(seen) == 1


def test_only_right_samples_are_attacked_and_neither_warnings_nor_handlers_are_left():
    model, x, y = linear(2)
    y = y.clone()
    y[5] = 1 - y[5]
    handlers = list(logging.root.handlers)
    logging.root.handlers[:] = []
    seen = []

    def noisy(foolbox, wrapped, samples, labels):
        seen.append(len(samples))
        warnings.warn("Mean of empty slice", RuntimeWarning, stacklevel=1)
        logging.info("falling back")
        return samples

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, distance = nearest_by_foolbox("noisy", noisy, model, x, y, norm="l2", box=BOX)
    assert logging.root.handlers == []
    logging.root.handlers[:] = handlers
    assert seen == [len(x) - 1]
    assert distance[5] == 0


def test_a_tie_is_right_and_a_lack_of_numbers_wrong():
    logits = torch.tensor([[1.0, 1.0], [torch.nan, 0.0], [0.0, 1.0], [1.0, 0.0]])
    assert misclassified(nn.Identity(), logits, torch.zeros(4, dtype=torch.int64)).tolist() == [
        False, True, True, False,
    ]  # fmt: skip


def test_without_foolbox_there_is_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "foolbox", None)
    with pytest.raises(ModuleNotFoundError, match=r"attack='ddn' needs foolbox; install it with: pip install 'onelip"):
        nearest_by_foolbox("ddn", lambda *_: None, *linear(), norm="l2", box=BOX)


def test_mistakes_are_named():
    with pytest.raises(ValueError, match=r"box=\(0.0, inf\) of attack='ddn' must have finite ends"):
        nearest_by_foolbox("ddn", lambda *_: None, *linear(), norm="l2", box=(0.0, torch.inf))
    with pytest.raises(ValueError, match="steps=-1, gamma=nan of attack='x' is out of range"):
        check_options("x", steps=(-1, False), good=(1, True), gamma=(float("nan"), False))
