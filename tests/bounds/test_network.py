import math
import re

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.bounds.dense import ROUNDING, jacobian, steepest
from torch import nn

from onelip.bounds import UnknownLipschitzConstant, lipschitz_bound
from onelip.bounds.network import analyse
from onelip.bounds.tracing import trace
from onelip.layers import MaxMin, Scale
from onelip.linalg import Bound


class Residual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU())

    def forward(self, x):
        return x + 0.5 * self.body(x)


class Split(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.left, self.right = nn.Conv2d(channels, 2, 3, padding=2), nn.Conv2d(channels, 3, (3, 1), dilation=2)

    def forward(self, x):
        left = F.relu(self.left(x))[..., 1:-1, 1:-1]
        right = F.pad(self.right(x), (0, 0, 2, 2)).abs()
        return torch.cat([left[:, :, : right.size(2), : right.size(3)], right], 1)


PARTS = {
    "conv": lambda c: (nn.Conv2d(c, 4, 3, padding=1), 4),
    "strided": lambda c: (nn.Conv2d(c, 3, 3, stride=2, padding=1), 3),
    "transposed": lambda c: (nn.ConvTranspose2d(c, 3, 3, stride=2, padding=1), 3),
    "grouped": lambda c: (nn.Conv2d(c, 2 * c, 3, padding=1, groups=c), 2 * c),
    "residual": lambda c: (Residual(c), c),
    "concat": lambda c: (Split(c), 5),
    "maxpool": lambda c: (nn.MaxPool2d(3, 2, 1), c),
    "avgpool": lambda c: (nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False), c),
    "norm": lambda c: (nn.BatchNorm2d(c), c),
    "gelu": lambda c: (nn.GELU(), c),
    "maxmin": lambda c: (MaxMin(), c),
}


@settings(max_examples=25)
@given(
    st.integers(0, 10**6),
    st.lists(st.sampled_from(sorted(PARTS)), min_size=1, max_size=4),
    st.tuples(st.integers(5, 7), st.integers(5, 7)),
)
def test_random_graphs_are_bounded(seed, names, size):
    torch.manual_seed(seed)
    channels, layers = 2, []
    for name in names:
        layer, channels = PARTS[name](channels)
        layers.append(layer)
    model = nn.Sequential(*layers)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_var.uniform_(0.2, 3)
            module.weight.data.uniform_(-2, 2)
    try:
        model.eval()(torch.zeros(1, 2, *size))
    except RuntimeError:
        # A chain of strided layers may leave less than a kernel.
        assume(False)
    bound = lipschitz_bound(model, (2, *size))
    assert bound.proved
    assert steepest(model, (2, *size), 2) <= bound.value * (1 + ROUNDING)


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.integers(-12, 12))
def test_linear_chain_is_tight_and_scales(seed, exponent):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(6, 5), Scale(2.0**exponent)).double()
    exact = float(torch.linalg.matrix_norm(jacobian(model, torch.zeros(6)), 2))
    bound = lipschitz_bound(model, (6,))
    assert exact * (1 - ROUNDING) <= bound.value <= exact * (1 + 1e-7)


def test_sums_concatenations_and_chains_by_hand():
    class Graph(nn.Module):
        def forward(self, x):
            y = 3 * x
            return torch.cat([x + y, y], 1)  # sqrt((1 + 3)^2 + 3^2)

    bound = lipschitz_bound(Graph(), (4,))
    assert bound.value == pytest.approx(5, rel=1e-14)
    assert bound.value >= 5
    assert [row.kind for row in bound.layers] == ["mul", "add", "cat"]


def test_constants_do_not_count_as_signals():
    class Positional(nn.Module):
        def __init__(self):
            super().__init__()
            self.code = nn.Parameter(torch.randn(4))

        def forward(self, x):
            return (x + self.code) / torch.full((4,), 2.0) - 1

    assert lipschitz_bound(Positional(), (4,)).value == pytest.approx(0.5, rel=1e-14)


def test_broadcasting_counts_copies():
    class Spread(nn.Module):
        def forward(self, x):
            return x.mean((2, 3), keepdim=True) * torch.ones(4, 4)

    bound = lipschitz_bound(Spread(), (2, 4, 4))
    assert bound.value == pytest.approx(1, rel=1e-14)
    assert steepest(Spread(), (2, 4, 4)) <= bound.value * (1 + ROUNDING)


class Square(nn.Module):
    def forward(self, x):
        return x * x


class Rounded(nn.Module):
    def forward(self, x):
        return x.to(torch.int64).float()


class Batch(nn.Module):
    def forward(self, x):
        return torch.cat([x, x])


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (Square(), "mul at 'mul'"),
        (Rounded(), "not continuous"),
        (Batch(), "mixes the samples"),
        (Branching(), "torch.fx cannot trace"),
        (nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)), "LayerNorm at '1'"),
        (nn.Sequential(nn.Hardshrink()), r"Hardshrink at '0'.*register_bound\(Hardshrink"),
    ],
)
def test_unknown_parts_are_refused_by_name(model, words):
    with pytest.raises(UnknownLipschitzConstant, match=words):
        lipschitz_bound(model, (4,))


def test_hooks_are_refused():
    model = nn.Sequential(nn.Linear(3, 3))
    model[0].register_forward_hook(lambda module, args, output: 10 * output)
    with pytest.raises(UnknownLipschitzConstant, match="hooks"):
        lipschitz_bound(model, (3,))


def test_changed_forward_is_not_trusted():
    class Doubled(nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    model = Doubled(3, 3)
    assert steepest(model, (3,)) <= lipschitz_bound(nn.Sequential(nn.Identity(), model), (3,)).value * (1 + ROUNDING)


def test_training_mode_is_bounded_as_eval_and_kept():
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout(0.5)).train()
    model[2].eval()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    bound = lipschitz_bound(model, (3,))
    assert [m.training for m in model.modules()] == [True, True, True, False]
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert bound == lipschitz_bound(model.eval(), (3,))


def test_estimates_are_named():
    class Guess(nn.Module):
        def forward(self, x):
            return x

        def lipschitz_bound(self, input_shape=None):
            return Bound(0.9, False, "power iteration")

    bound = lipschitz_bound(nn.Sequential(nn.Linear(2, 2), Guess()), (2,))
    assert not bound.proved
    assert bound.method == "contains estimates: 1"
    assert "ESTIMATE, not proved" in str(bound)


def test_table_is_aligned_and_complete():
    text = str(lipschitz_bound(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten()), (1, 4, 4)))
    lines = text.splitlines()
    assert lines[0].split() == ["name", "kind", "constant", "status", "method", "from", "input", "shape"]
    assert len(lines) == 5
    starts = {re.search(r"\d+x?.* -> ", line).start() for line in lines[1:-1] if " -> " in line}
    assert len({line.index("proved") for line in lines[1:-1]}) == 1
    assert starts
    assert lines[-1].startswith("Lipschitz constant (l2) <= ")


@pytest.mark.parametrize("shape", [(0, 3), (-1,), (2.0,), (True,)])
def test_bad_shapes(shape):
    with pytest.raises(ValueError, match="input_shape="):
        lipschitz_bound(nn.ReLU(), shape)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_broken_weights_are_never_bounded(value):
    model = nn.Linear(2, 2)
    model.weight.data[0, 0] = value
    with pytest.raises(ValueError, match="NaN or infinite"):
        lipschitz_bound(model, (2,))


def test_facts_cover_every_signal_node():
    graph = trace(nn.Sequential(nn.Linear(3, 4), nn.ReLU()))
    analysis = analyse(graph, (3,))
    assert [facts.output_shape for facts in analysis.nodes.values()] == [(4,), (4,)]
    assert analysis.total.value == list(analysis.nodes.values())[-1].cumulative.value
