import pytest
import torch
import torch.nn.functional as F
from torch import nn

from onelip.bounds import lipschitz_bound

# A grid fine enough that between its points the derivatives below, whose own derivatives are below 3, change by 3e-4.
GRID = torch.arange(-12, 12, 2e-4, dtype=torch.float64)

SMOOTH = [
    nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(0.2), nn.LeakyReLU(-3.0), nn.ELU(2.0), nn.CELU(0.5), nn.SELU(), nn.GELU(),
    nn.GELU("tanh"), nn.SiLU(), nn.Mish(), nn.Sigmoid(), nn.Tanh(), nn.Softplus(3.0), nn.Softsign(), nn.Tanhshrink(),
    nn.Hardtanh(), nn.Hardswish(), nn.Hardsigmoid(), nn.LogSigmoid(), nn.Softshrink(), nn.PReLU(init=1.5),
    nn.RReLU(),
]  # fmt: skip


@pytest.mark.parametrize("layer", SMOOTH, ids=str)
def test_derivative_is_below_the_constant_and_reaches_it(layer):
    layer = layer.double().eval()
    x = GRID.clone().requires_grad_()
    slope = torch.autograd.grad(layer(x[:, None]).sum(), x)[0].abs().max()
    bound = lipschitz_bound(layer, (1,))
    assert bound.proved
    assert float(slope) <= bound.value * (1 + 1e-12)
    assert bound.value <= float(slope) * 1.002


@pytest.mark.parametrize("layer", [nn.Softmax(1), nn.Softmin(1), nn.Softmax2d()], ids=str)
def test_softmax(layer):
    shape = (2, 1, 1)
    jacobian = torch.autograd.functional.jacobian(
        lambda x: layer(x[None])[0], torch.zeros(shape, dtype=torch.float64)
    ).reshape(2, 2)
    bound = lipschitz_bound(layer, shape)
    assert float(torch.linalg.matrix_norm(jacobian, 2)) == pytest.approx(bound.value, rel=1e-12)


FUNCTIONS = {
    F.gelu: 1.129, F.silu: 1.0999, F.mish: 1.0886, F.relu: 1.0, F.selu: 1.7581, torch.sigmoid: 0.25, torch.tanh: 1.0,
    F.softplus: 1.0, F.hardswish: 1.5,
}  # fmt: skip


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_functions_have_the_constant_of_their_module(function):
    class Call(nn.Module):
        def forward(self, x):
            return function(x)

    assert lipschitz_bound(Call(), (3,)).value == FUNCTIONS[function]
