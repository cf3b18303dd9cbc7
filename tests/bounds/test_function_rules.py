import pytest
import torch
import torch.nn.functional as F
from tests.bounds.dense import ROUNDING, steepest
from torch import nn

from onelip.bounds import UnknownLipschitzConstant, lipschitz_bound

W = torch.tensor([[1.0, 2.0, 0.0], [0.5, -1.0, 3.0]])
K = torch.randn(4, 2, 3, 3, generator=torch.Generator().manual_seed(0))


class Call(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function
        self.register_buffer("w", W)
        self.register_buffer("k", K)
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("var", torch.tensor([1.0, 4.0, 0.5]))

    def forward(self, x):
        return self.function(self, x)


VECTORS = {
    "linear": lambda m, x: F.linear(x, m.w),
    "matmul": lambda m, x: x @ m.w.T,
    "affine": lambda m, x: 2 - torch.mul(x, other=torch.tensor([3.0, -1.0, 0.5])),
    "divide": lambda m, x: x.div(torch.tensor([3.0, -0.25, 0.5])),
    "alpha": lambda m, x: torch.add(x, x, alpha=-4),
    "inplace": lambda m, x: (x.clone() + 1).mul_(2).add_(x),
    "neg": lambda m, x: -x.abs().neg(),
    "max": lambda m, x: torch.cat([torch.maximum(x, 2 * x.flip(1)), torch.minimum(x, -x)], 1),
    "stack": lambda m, x: torch.stack([x, 2 * x], 1),
    "chunks": lambda m, x: x.chunk(3, 1)[0] - x.split(1, 1)[2],
    "index": lambda m, x: x[:, None, 1:, ...] + x[:, -1, None, None],
    "sum": lambda m, x: x.sum(1, keepdim=True).expand(-1, 5),
    "mean": lambda m, x: x.mean(1),
    "repeat": lambda m, x: x.repeat(1, 4),
    "softmax": lambda m, x: F.softmax(3 * x, 1),
    "leaky": lambda m, x: F.leaky_relu(x, negative_slope=2.0),
    "elu": lambda m, x: F.elu(x, 3.0),
    "shape": lambda m, x: x.reshape(x.shape[0], -1, 1).view(x.size(0), 3) / x.shape[1],
    "sort": lambda m, x: x.sort(1)[0],
    "amax": lambda m, x: x.amax(1),
    "norm": lambda m, x: F.batch_norm(x, m.mean, m.var, eps=0.5),
    "dropout": lambda m, x: F.dropout(x, 0.5, m.training),
}
IMAGES = {
    "conv": lambda m, x: F.conv2d(x, m.k, stride=2, padding=1),
    "grouped": lambda m, x: F.conv2d(x, m.k[:2, :1], groups=2, dilation=2),
    "avg": lambda m, x: F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False),
    "max": lambda m, x: F.max_pool2d(x, 3, stride=2),
    "adaptive": lambda m, x: F.adaptive_avg_pool2d(x, (2, 3)) - F.adaptive_max_pool2d(x, (2, 3)),
    "pad": lambda m, x: F.pad(x, (1, 2, 0, 0), mode="reflect") + F.pad(x, (0, 3)),
    "resize": lambda m, x: F.interpolate(x, scale_factor=2),
    "shuffle": lambda m, x: F.pixel_unshuffle(F.pixel_shuffle(x.repeat(1, 2, 1, 1), 2), 4),
    "permute": lambda m, x: x.permute(0, 2, 3, 1).transpose(1, 2).flatten(1, 2).squeeze(0).unsqueeze(0),
}
CASES = [(f, (3,)) for f in VECTORS.values()] + [(f, (2, 6, 6)) for f in IMAGES.values()]


@pytest.mark.parametrize(("function", "shape"), CASES, ids=[*VECTORS, *IMAGES])
def test_function_is_bounded(function, shape):
    model = Call(function)
    bound = lipschitz_bound(model, shape)
    assert bound.proved
    exact = steepest(model, shape, 3)
    assert exact <= bound.value * (1 + ROUNDING)
    # No bound here is looser than by what joining two signals can lose.
    assert bound.value <= 5 * exact


REFUSED = {
    "square": lambda m, x: x.mul(x),
    "reciprocal": lambda m, x: 1 / x,
    "floor": lambda m, x: torch.div(x, 2, rounding_mode="floor"),
    "by zero": lambda m, x: x / torch.zeros(3),
    "gather": lambda m, x: x[:, torch.tensor([0, 0, 0])],
    "attention": lambda m, x: x @ x.T,
    "batch mean": lambda m, x: x - x.mean(0),
    "batch sum": lambda m, x: x.sum(),
    "dynamic weight": lambda m, x: F.linear(x, x),
    "compare": lambda m, x: (x > 0) * x,
    "item": lambda m, x: x + x.sum(1).item(),
    "random": lambda m, x: F.dropout(x, 0.5),
    "nan": lambda m, x: x * float("nan"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_unbounded_functions_are_refused(name):
    with pytest.raises(UnknownLipschitzConstant):
        lipschitz_bound(Call(REFUSED[name]), (3,))
