import mpmath
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from onelip.bounds import UnknownLipschitzConstant, lipschitz_bound
from onelip.bounds import activation_rules as rules

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


def sigmoid(x):
    return 1 / (1 + mpmath.exp(-x))


def tanh_gelu(x):
    return x * (1 + mpmath.tanh(mpmath.sqrt(2 / mpmath.pi) * (x + mpmath.mpf("0.044715") * x**3))) / 2


SELU_SCALE = mpmath.mpf("1.0507009873554804934193349852946")
SELU_ALPHA = mpmath.mpf("1.6732632423543772848170429916717")

# The function, where its derivative is largest in size, and the constant.
STEEPEST = {
    "sigmoid": (sigmoid, 0, rules.SIGMOID),
    "gelu": (lambda x: x * mpmath.ncdf(x), 1.414, rules.GELU),
    "tanh-gelu": (tanh_gelu, 1.4, rules.TANH_GELU),
    "silu": (lambda x: x * sigmoid(x), 2.4, rules.SILU),
    "mish": (lambda x: x * mpmath.tanh(mpmath.log1p(mpmath.exp(x))), 1.5, rules.MISH),
    "selu": (lambda x: SELU_SCALE * SELU_ALPHA * mpmath.expm1(x), -(mpmath.mpf(10) ** -20), rules.SELU),
    "hard swish": (lambda x: x * (x + 3) / 6, 3, rules.HARD_SWISH),
    "hard sigmoid": (lambda x: (x + 3) / 6, 0, rules.HARD_SIGMOID),
}


@pytest.mark.parametrize("name", STEEPEST)
def test_constants_are_the_largest_derivatives(name):
    function, start, constant = STEEPEST[name]
    with mpmath.workdps(30):
        place = mpmath.mpf(start)
        if name in ("gelu", "tanh-gelu", "silu", "mish"):
            # Where the second derivative vanishes; on the other side of 0 the derivative is smaller by symmetry, or
            # decays.
            place = mpmath.findroot(lambda x: mpmath.diff(function, x, 2), start)
        top = mpmath.diff(function, place)
        grid = [mpmath.diff(function, mpmath.mpf(k) / 4) for k in range(-60, 61)] if "hard" not in name else [top]
        if name == "selu":
            grid = [d for k, d in zip(range(-60, 61), grid, strict=True) if k < 0]
        assert max(abs(d) for d in grid) <= top * (1 + mpmath.mpf(10) ** -12)
        assert top <= constant * (1 + mpmath.mpf(10) ** -18)
        assert constant <= top * (1 + mpmath.mpf(10) ** -3)


def test_softmax_is_steepest_at_two_equal_entries():
    with mpmath.workdps(30):
        p = mpmath.mpf(1) / 2
        jacobian = mpmath.matrix([[p * (1 - p), -p * p], [-p * p, p * (1 - p)]])
        assert mpmath.svd_r(jacobian, compute_uv=False)[0] == pytest.approx(rules.SOFTMAX, rel=1e-15)
    g = torch.Generator().manual_seed(0)
    p = torch.softmax(5 * torch.randn(4000, 5, dtype=torch.float64, generator=g), 1)
    jacobians = torch.diag_embed(p) - p[:, :, None] * p[:, None]
    assert float(torch.linalg.matrix_norm(jacobians, 2).max()) <= rules.SOFTMAX


def test_log_softmax_is_steepest_where_one_entry_is_certain():
    for n in (1, 2, 5):
        p = torch.softmax(60 * torch.eye(n, dtype=torch.float64)[:1], 1)
        jacobian = torch.eye(n, dtype=torch.float64) - p.expand(n, n)
        norm = float(torch.linalg.matrix_norm(jacobian, 2))
        assert norm <= rules.log_softmax_constant(n).value * (1 + 1e-12)
        assert n == 1 or rules.log_softmax_constant(n).value <= norm * (1 + 1e-9)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (nn.CELU(-1.0), "grow exponentially"),
        (nn.Softplus(threshold=1), "make it jump"),
        (nn.Softshrink(-1.0), "make it jump|makes it jump"),
        (nn.Threshold(0.0, 1.0), "jumps at the threshold"),
        (nn.Hardshrink(), "use Softshrink"),
        (nn.Softmax(0), "mixes the samples"),
        (nn.LogSoftmax(), "mixes the samples"),
    ],
    ids=str,
)
def test_what_jumps_or_grows_is_refused(layer, words):
    with pytest.raises(UnknownLipschitzConstant, match=words):
        lipschitz_bound(layer, (3,))
