import pytest
import torch
import torch.nn.functional as F
from tests.bounds.test_linf_modules import row_sum
from torch import nn

from onelip.bounds import UnknownLipschitzConstant, lipschitz_bound, registry

W = torch.randn(4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
KERNEL = torch.randn(3, 1, 3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
BIASES = torch.arange(4.0, dtype=torch.float64)


class Calls(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function
        self.register_buffer("like", torch.zeros((), dtype=torch.float64))

    def forward(self, x):
        return self.function(x)


LINEAR = {
    "sum": lambda x: x + 2 * x,
    "difference": lambda x: x - torch.flip(x, [2]),
    "alpha": lambda x: torch.add(3.0 * x, x, alpha=2),
    "constant": lambda x: x + BIASES,
    "quotient": lambda x: x / 0.5,
    "vector quotient": lambda x: torch.div(x, 1 + BIASES),
    "product": lambda x: x * BIASES,
    "cat": lambda x: torch.cat([x, 3 * x, -x], 1),
    "stack": lambda x: torch.stack([x, -2 * x], 2),
    "matmul": lambda x: x @ W,
    "linear": lambda x: F.linear(x, W, BIASES),
    "matrix in front": lambda x: torch.matmul(W, x.transpose(1, 2)),
    "conv": lambda x: F.conv2d(x.unsqueeze(1), KERNEL, None, 1, 1),
    "pool": lambda x: F.avg_pool2d(x.unsqueeze(1), 2, padding=1, count_include_pad=False),
    "adaptive": lambda x: F.adaptive_avg_pool2d(x.unsqueeze(1), 3),
    "pad": lambda x: F.pad(x, (1, 1), mode="replicate"),
    "interpolate": lambda x: F.interpolate(x, scale_factor=2),
    "mean": lambda x: x.mean(2),
    "total": lambda x: x.sum((1, 2)),
    "slice": lambda x: x[:, 1:],
    "expand": lambda x: x.unsqueeze(1).expand(-1, 3, -1, -1),
    "negative": lambda x: -x,
}  # fmt: skip


@pytest.mark.parametrize("name", LINEAR)
def test_linear_calls_have_the_row_sum_of_their_jacobian(name):
    module = Calls(LINEAR[name]).double()
    exact = row_sum(module, torch.randn(4, 4, generator=torch.Generator().manual_seed(2)))
    bound = lipschitz_bound(module, (4, 4), norm="linf").value
    assert exact * (1 - 1e-12) <= bound
    assert bound <= exact * (1 + 1e-9)


NONLINEAR = {
    "maximum": lambda x: torch.maximum(x, -x),
    "relu": lambda x: F.relu(x) + torch.relu(-x),
    "max pool": lambda x: F.max_pool2d(x.unsqueeze(1), 2, 1),
    "sigmoid": torch.sigmoid,
    "gelu": F.gelu,
    "softmax": lambda x: F.softmax(x, 2),
    "sort": lambda x: x.sort(2)[0],
    "largest of two": lambda x: torch.max(x, 2 * x),
    "largest of numbers": lambda x: torch.max(x, BIASES),
    "leaky": lambda x: F.leaky_relu(x, 3.0),
}


@pytest.mark.parametrize("name", NONLINEAR)
def test_no_jacobian_of_other_calls_exceeds_the_constant(name):
    module = Calls(NONLINEAR[name]).double()
    generator = torch.Generator().manual_seed(3)
    found = max(row_sum(module, s * torch.randn(4, 4, generator=generator)) for s in (0.1, 1.0, 3.0) for _ in range(3))
    bound = lipschitz_bound(module, (4, 4), norm="linf").value
    assert found <= bound * (1 + 1e-12)
    assert found >= bound / 3


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: torch.cat([x, x], 0), "axis 0"),
        (lambda x: x.sum(0), "axis 0"),
        (lambda x: 1 / x, "dividing by a signal"),
        (lambda x: x / 0.0, "divides by zero"),
        (lambda x: torch.div(x, 2, rounding_mode="floor"), "rounding is not continuous"),
        (lambda x: torch.flip(x, (0,)), "axis 0"),
        (lambda x: F.softmax(x, 0), "axis 0"),
        (torch.fft.fft, "in the table of known constants in l_inf"),
    ],
)
def test_what_has_no_constant_is_refused(function, words):
    with pytest.raises(UnknownLipschitzConstant, match=words):
        lipschitz_bound(Calls(function), (4, 4), norm="linf")


def test_whatever_has_a_constant_in_l2_has_one_here():
    targets = {target for target in registry._CALLS["l2"] if getattr(target, "__module__", "torch").startswith("torch")}
    assert targets <= set(registry._CALLS["linf"])
