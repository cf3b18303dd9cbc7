"""A penalty on the bounds of Gram iteration."""

import copy

import pytest
import torch
from tests.spectral.dense import dense_norm
from tests.spectral.loops import INPUT_SHAPE, SHAPES, resumes, small_net, train
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from onelip.spectral.delattre import Delattre, gram_bound

LAYERS = {
    "zeros": (nn.Conv2d(3, 4, 3, padding=1), (3, 7, 6)),
    "strided": (nn.Conv2d(3, 4, 3, stride=2, padding=1), (3, 7, 6)),
    "circular": (nn.Conv2d(3, 4, (3, 5), padding=(1, 2), padding_mode="circular"), (3, 6, 6)),
    "reflect": (nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), (2, 5, 5)),
    "dilated": (nn.Conv2d(2, 4, 3, padding=2, dilation=2, groups=2), (2, 6, 6)),
    "transposed": (nn.ConvTranspose2d(4, 2, 3, stride=2, groups=2), (4, 4, 4)),
    "line": (nn.Conv1d(2, 3, 3), (2, 9)),
    "dense": (nn.Linear(12, 7), (12,)),
}


def _linear(weight):
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False, dtype=weight.dtype)
    with torch.no_grad():
        layer.weight.copy_(weight)
    return layer


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("n_iter", [1, 3, 6])
def test_it_is_an_upper_bound(name, n_iter):
    module, shape = LAYERS[name]
    module = copy.deepcopy(module).double()
    nn.init.normal_(module.weight)
    bound = float(gram_bound(module, shape, n_iter).detach())
    exact = dense_norm(module, shape)
    assert bound >= exact * (1 - 1e-12)
    if n_iter == 6 and name in ("circular", "dense"):
        assert bound <= exact * 1.02


@pytest.mark.parametrize("n_iter", [1, 2, 6])
@pytest.mark.parametrize("shape", [(30, 20), (5, 9)])
def test_of_a_matrix_it_is_the_schatten_norm_of_the_formula(shape, n_iter):
    # Published code returns after the first iteration: 13.163 in place of 9.426 for 30 x 20.
    weight = torch.randn(shape, dtype=torch.float64)
    power = weight
    for _ in range(n_iter):
        power = power.T @ power
    expected = torch.linalg.matrix_norm(power, "fro") ** (1 / 2**n_iter)
    bound = gram_bound(_linear(weight), (shape[1],), n_iter)
    torch.testing.assert_close(bound.detach(), expected)


@pytest.mark.parametrize(("module", "shape"), [LAYERS["dense"], LAYERS["strided"], LAYERS["dilated"]])
def test_its_gradient_is_that_of_finite_differences(module, shape):
    module = copy.deepcopy(module).double()
    nn.init.normal_(module.weight)

    def bound(weight):
        other = copy.deepcopy(module)
        del other.weight
        other.weight = weight
        return gram_bound(other, shape, 3)

    assert torch.autograd.gradcheck(bound, (module.weight.detach().clone().requires_grad_(),))


def test_its_gradient_tends_to_the_first_pair_of_singular_vectors():
    u, _ = torch.linalg.qr(torch.randn(8, 5, dtype=torch.float64))
    v, _ = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64))
    layer = _linear(u @ torch.diag(torch.tensor([2.0, 1.4, 1.0, 0.5, 0.1], dtype=torch.float64)) @ v.T)
    gram_bound(layer, (5,), 6).backward()
    torch.testing.assert_close(layer.weight.grad, torch.outer(u[:, 0], v[:, 0]), rtol=0, atol=1e-6)


def test_the_penalty_is_rho_times_the_bounds_above_the_threshold():
    net = small_net()
    with torch.no_grad():
        net[0].weight.mul_(1e-2)
    method = Delattre(net, INPUT_SHAPE, 1.0, rho=0.3, head="penalty")
    bounds = [gram_bound(net[int(name)], shape) for name, shape in SHAPES.items()]
    assert bounds[0] < 1 < min(bounds[1:])
    torch.testing.assert_close(method.penalty(), 0.3 * (bounds[1] + bounds[2]))
    method.penalty().backward()
    assert float(net[0].weight.grad.abs().max()) == 0
    assert float(net[3].weight.grad.abs().max()) > 0


def test_the_head_is_divided_as_published_or_penalised():
    net = small_net()
    Delattre(net, INPUT_SHAPE)
    assert is_parametrized(net[6])
    assert not is_parametrized(net[3])
    net = small_net()
    Delattre(net, INPUT_SHAPE, head="penalty")
    assert not is_parametrized(net[6])


def test_a_network_of_the_head_alone_has_no_penalty():
    assert Delattre(nn.Sequential(nn.Linear(3, 2)), (3,)).penalty() is None


def test_the_penalty_makes_norms_small_in_training():
    norms = {}
    for rho in (1e-9, 2.0):
        net = small_net()
        method = Delattre(net, INPUT_SHAPE, rho=rho)
        state = torch.get_rng_state()
        list(train(net, method, 40, lr=0.1))
        assert torch.equal(torch.get_rng_state(), state)
        norms[rho] = dense_norm(net[3], SHAPES["3"])
    assert norms[2.0] < 0.6 * norms[1e-9]


def test_iterations_grow_as_published():
    method = Delattre(small_net(), INPUT_SHAPE, n_iter="adaptive", steps_per_epoch=2)
    counts = []
    for epoch in (0, 124, 125, 149, 150, 174, 175, 500):
        method.load_state_dict({"n_steps": 2 * epoch + 1})
        counts.append(method._iterations())
    assert counts == [3, 3, 4, 4, 5, 5, 6, 6]
    few = method.penalty()
    method.load_state_dict({"n_steps": 0})
    assert method.penalty() > few


@pytest.mark.parametrize("head", ["miyato", "penalty"])
def test_a_resumed_training_goes_on_to_the_same_numbers(head):
    assert resumes(lambda net: Delattre(net, INPUT_SHAPE, n_iter="adaptive", steps_per_epoch=2, head=head))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rho": 0}, "rho=0 in delattre"),
        ({"head": "none"}, "head='none' in delattre"),
        ({"n_iter": 0}, "n_iter=0 in delattre"),
        ({"n_iter": "adaptive"}, "steps_per_epoch=None in delattre"),
        ({"steps_per_epoch": 3}, "steps_per_epoch=3 in delattre"),
        ({"n_iter": "adaptive", "steps_per_epoch": 0}, "steps_per_epoch=0 in delattre"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Delattre(small_net(), INPUT_SHAPE, **options)


def test_a_convolution_of_three_axes_is_refused():
    with pytest.raises(ValueError, match="cannot bound '0', a Conv3d"):
        Delattre(nn.Sequential(nn.Conv3d(1, 1, 3)), (1, 4, 4, 4))
