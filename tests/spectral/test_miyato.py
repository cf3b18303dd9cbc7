"""Weights divided by the norm of the flattened kernel."""

import copy

import pytest
import torch
from tests.spectral.dense import dense_norm
from tests.spectral.loops import INPUT_SHAPE, SHAPES, resumes, small_net, train
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm

from onelip.spectral.miyato import MatrixNorm, Miyato, bake_
from onelip.spectral.tensor_train import TTConv2d


def _matrix_norm(module):
    rows = 1 if isinstance(module, nn.ConvTranspose2d) else 0
    return float(torch.linalg.matrix_norm(module.weight.detach().movedim(rows, 0).flatten(1).double(), 2))


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Conv2d(2, 5, 3, stride=2), (2, 6, 6)),
        (nn.ConvTranspose2d(3, 2, 3), (3, 4, 4)),
        (nn.Conv1d(2, 3, 2), (2, 5)),
        (nn.Linear(6, 4), (6,)),
    ],
)
@pytest.mark.parametrize("max_norm", [1.0, 0.5])
def test_the_flattened_weight_gets_the_norm(module, shape, max_norm):
    net = nn.Sequential(copy.deepcopy(module))
    Miyato(net, shape, max_norm, n_iter=40)
    net(torch.zeros(1, *shape))
    net.eval()
    assert _matrix_norm(net[0]) == pytest.approx(max_norm, rel=1e-3)


def test_one_iteration_for_each_use_in_training_is_that_of_torch():
    torch.manual_seed(1)
    ours, theirs = nn.Linear(7, 5), nn.Linear(7, 5)
    theirs.load_state_dict(ours.state_dict())
    spectral_norm(theirs)
    Miyato(nn.Sequential(ours), (7,))
    norm = ours.parametrizations.weight[0]
    norm.left.copy_(theirs.parametrizations.weight[0]._u)
    norm.right.copy_(theirs.parametrizations.weight[0]._v)
    x = torch.randn(3, 7)
    for layer in (ours, theirs):
        for _ in range(3):
            layer.weight.square().sum().backward()
            layer(x).sum().backward()
    torch.testing.assert_close(ours.weight, theirs.weight)
    torch.testing.assert_close(*(layer.parametrizations.weight.original.grad for layer in (ours, theirs)))


def test_eval_changes_nothing():
    # Published code iterates in eval mode as well.
    net = small_net()
    Miyato(net, INPUT_SHAPE)
    net.eval()
    before = copy.deepcopy(net.state_dict())
    first = net(torch.ones(1, *INPUT_SHAPE))
    assert torch.equal(first, net(torch.ones(1, *INPUT_SHAPE)))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    net.train()
    net(torch.ones(2, *INPUT_SHAPE))
    assert not torch.equal(net[3].parametrizations.weight[0].left, before["3.parametrizations.weight.0.left"])


def test_making_it_draws_no_number_and_keeps_every_parameter():
    net = small_net()
    before = {name: id(p) for name, p in net.named_parameters()}
    raw = net[3].weight.detach().clone()
    state = torch.get_rng_state()
    Miyato(net, INPUT_SHAPE)
    assert torch.equal(torch.get_rng_state(), state)
    assert {id(p) for p in net.parameters()} == set(before.values())
    assert torch.equal(net[3].parametrizations.weight.original, raw)
    assert id(net[3].parametrizations.weight.original) == before["3.weight"]


def test_the_last_dense_layer_is_divided_too_and_dense_norms_stay_small():
    net = small_net()
    method = Miyato(net, INPUT_SHAPE)
    for norms in train(net, method, 10):
        assert norms is None
        net.eval()
        assert dense_norm(net[6], SHAPES["6"]) <= 1.02
        net.train()
    # The convolution's own norm is another matter, which the method leaves above 1.
    assert dense_norm(net[3].eval(), SHAPES["3"]) > 1.1


def test_zero_weights_stay_zero():
    net = nn.Sequential(nn.Linear(3, 2))
    nn.init.zeros_(net[0].weight)
    Miyato(net, (3,))
    net(torch.ones(1, 3)).sum().backward()
    assert torch.equal(net[0].weight, torch.zeros(2, 3))
    assert net[0].parametrizations.weight.original.grad.isfinite().all()


def test_baking_keeps_the_function_the_objects_and_the_names():
    net = small_net()
    plain = set(net.state_dict())
    Miyato(net, INPUT_SHAPE)
    list(train(net, Miyato(nn.Identity(), INPUT_SHAPE), 2))
    parameters = {id(p) for p in net.parameters()}
    x = torch.randn(2, *INPUT_SHAPE)
    expected = net.eval()(x)
    net.train()
    assert bake_(net) == 3
    assert net.training
    assert all(module.training for module in net.modules())
    assert torch.equal(net.eval()(x), expected)
    assert {id(p) for p in net.parameters()} == parameters
    assert set(net.state_dict()) == plain
    assert bake_(net) == 0


def test_other_parametrisations_are_not_baked():
    net = nn.Sequential(spectral_norm(nn.Linear(3, 2)))
    assert bake_(net) == 0
    assert parametrize.is_parametrized(net[0])


def test_a_tensor_train_has_each_factor_divided():
    net = nn.Sequential(TTConv2d(3, 4, 3, ranks=2))
    Miyato(net, (3, 5, 5))
    assert sum(isinstance(module, MatrixNorm) for module in net.modules()) == 3


def test_a_resumed_training_goes_on_to_the_same_numbers():
    assert resumes(lambda net: Miyato(net, INPUT_SHAPE))


def test_making_it_twice_is_refused():
    net = small_net()
    Miyato(net, INPUT_SHAPE)
    with pytest.raises(ValueError, match="weight of '0' is parametrised"):
        Miyato(net, INPUT_SHAPE)
