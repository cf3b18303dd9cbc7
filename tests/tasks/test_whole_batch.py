"""Pieces of batches, in one process that plays all; in two processes: `tests/experiments/test_processes.py`."""

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import distributed, nn

from onelip.data import Batches, ImageData, Share
from onelip.data.share import Piece
from onelip.tasks import ProcessesDifferError, WholeBatch, whole_batch
from onelip.tasks.whole_batch import piece_of, whole

PIECE = Piece(2, 5, 8)


@pytest.fixture
def two(monkeypatch):
    """Two processes, of which the other one says nothing."""
    monkeypatch.setattr(whole_batch, "several_processes", lambda: True)
    monkeypatch.setattr(distributed, "all_reduce", lambda tensor, op=None: None)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)


def at_work(module: nn.Module, piece: Piece | None) -> WholeBatch:
    """Begin to train a module, on a piece of a batch."""
    callback = WholeBatch()
    callback.on_train_start(SimpleNamespace(), module)
    loader = SimpleNamespace(piece=lambda batch_idx: piece)
    callback.on_train_batch_start(SimpleNamespace(train_dataloader=loader), module, None, 0)
    return callback


def test_a_loader_is_asked_for_the_piece():
    data = ImageData(torch.zeros(7, 1, 2, 2), torch.zeros(7, dtype=torch.long), 1.0)
    assert piece_of(Batches(data, 6, shuffle=True, share=Share(1, 2)), 0) == Piece(3, 6, 6)
    # One image for two processes, all for one, and a loader that knows nothing.
    assert piece_of(Batches(data, 6, shuffle=True, share=Share(1, 2)), 1) is None
    assert piece_of(Batches(data, 6, shuffle=True), 0) is None
    assert piece_of([1, 2], 0) is None


def test_the_average_of_gradients_is_that_of_the_whole(two):
    values = torch.randn(3, 2, requires_grad=True)
    everything = whole(values, PIECE)
    assert torch.equal(everything[2:5], values)
    assert not everything[:2].any()
    weights = torch.randn(8, 2)
    (everything * weights).sum().backward()
    # The other process gives the gradient of its images, so the sum is twice what the average is to be.
    assert torch.equal(values.grad, 2 * weights[2:5])
    assert whole(values, None) is values


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("affine", [True, False])
def test_batch_normalisation_is_torchs(momentum, affine, two):
    torch.manual_seed(0)
    ours = nn.Sequential(nn.BatchNorm2d(3, momentum=momentum, affine=affine))
    if affine:
        nn.init.normal_(ours[0].weight)
    torchs = copy.deepcopy(ours)
    callback = at_work(ours, Piece(0, 4, 8))
    for _ in range(2):
        x = 3 + torch.randn(4, 3, 5, 5)
        a, b = (x.clone().requires_grad_() for _ in range(2))
        assert torch.allclose(ours(a), torchs(b), atol=1e-5)
        ours(a).pow(3).sum().backward()
        torchs(b).pow(3).sum().backward()
        assert torch.allclose(a.grad, b.grad, atol=1e-3)
    for name, value in torchs.state_dict().items():
        assert torch.allclose(ours.state_dict()[name], value, atol=1e-5)
    callback.on_train_end(SimpleNamespace(), ours)
    assert "forward" not in ours[0].__dict__
    assert torch.equal(ours.eval()(x), torch.nn.functional.batch_norm(x, *state(ours[0])))


def state(norm):
    return norm.running_mean, norm.running_var, norm.weight, norm.bias


@pytest.mark.parametrize("kind", [nn.Dropout, nn.Dropout2d])
def test_dropout_is_a_piece_of_that_of_all_images(kind, two):
    x = torch.randn(8, 3, 4, 4)
    module = nn.Sequential(kind(0.4))
    torch.manual_seed(3)
    expected, after = module(x), torch.rand(1)
    callback = at_work(module, PIECE)
    torch.manual_seed(3)
    assert torch.equal(module(x[2:5]), expected[2:5])
    assert torch.equal(torch.rand(1), after)
    with pytest.raises(ValueError, match=r"input of shape \(7, 3\) of Dropout.* does not begin with the images"):
        module(torch.zeros(7, 3))
    assert torch.equal(copy.deepcopy(module).eval()(x), x)
    callback.on_train_batch_end(SimpleNamespace(), module, None, None, 0)
    module(torch.zeros(6, 3, 1, 1))


def test_dropout_of_images_and_of_points_near_them_is_that_of_all(two):
    x, module = torch.randn(16, 3), nn.Sequential(nn.Dropout(0.4))
    torch.manual_seed(3)
    expected = module(x)
    at_work(module, PIECE)
    torch.manual_seed(3)
    assert torch.equal(module(torch.cat([x[2:5], x[10:13]])), torch.cat([expected[2:5], expected[10:13]]))


def test_a_copy_of_a_module_is_one_of_its_own(two):
    module = nn.Sequential(nn.BatchNorm1d(2))
    at_work(module, PIECE)
    other = copy.deepcopy(module)
    other(torch.randn(3, 2))
    assert other[0].num_batches_tracked == 1
    assert module[0].num_batches_tracked == 0


def test_alpha_dropout_is_refused(two):
    with pytest.raises(ValueError, match="'0' is AlphaDropout, which is not divided among processes"):
        at_work(nn.Sequential(nn.AlphaDropout()), PIECE)


def test_one_process_is_left_as_it_is():
    module = nn.Sequential(nn.BatchNorm1d(2), nn.AlphaDropout())
    at_work(module, None)
    assert "forward" not in module[0].__dict__


def test_weights_that_differ_are_noticed(two, monkeypatch):
    model = nn.Linear(2, 2)
    WholeBatch().on_train_epoch_end(SimpleNamespace(), model)
    other = 1.001

    def all_reduce(tensor, op=None):
        if op == distributed.ReduceOp.MAX:
            tensor *= other

    monkeypatch.setattr(distributed, "all_reduce", all_reduce)
    with pytest.raises(ProcessesDifferError, match="the processes no longer have the same weights"):
        WholeBatch().on_train_epoch_end(SimpleNamespace(), model)
