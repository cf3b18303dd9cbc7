from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from onelip import layers as L
from onelip import lipschitz_bound
from onelip.bounds.network import Analysis, analyse
from onelip.bounds.tracing import trace


def analysis(model: nn.Module, n: int, steps: int = 10) -> Analysis:
    return analyse(trace(model), (n,), tighten=True, search_steps=steps)


def slope_between_points(model: nn.Module, n: int, count: int = 200) -> tuple[float, Tensor]:
    """Largest norm of a Jacobian over random points, and of each difference of two outputs, in float64."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(count, n, generator=g, dtype=torch.float64) * 10.0 ** torch.randint(-2, 2, (count, 1), generator=g)
    jacobian = torch.func.vmap(torch.func.jacrev(lambda v: model(v[None])[0]))(x).detach()
    pairs = torch.linalg.vector_norm(jacobian[:, :, None] - jacobian[:, None], dim=-1)
    return float(torch.linalg.matrix_norm(jacobian, 2).max()), pairs.amax(0)


ACTIVATIONS = [
    nn.ReLU(),
    nn.LeakyReLU(-0.5),
    nn.Tanh(),
    nn.Sigmoid(),
    nn.GELU(),
    L.Abs(),
    L.MaxMin(),
    L.GroupSort(2),
    L.GroupSort(4),
    L.HouseHolder(8),
    L.BetaAbs(0.5),
]


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**31),
    st.integers(1, 7),
    st.lists(st.sampled_from([8, 16, 24]), min_size=1, max_size=4),
    st.sampled_from(ACTIVATIONS),
    st.integers(-8, 8),
)
def test_no_jacobian_is_above(seed: int, n: int, hidden: list[int], activation: nn.Module, power: int) -> None:
    torch.manual_seed(seed)
    parts: list[nn.Module] = []
    sizes = [n, *(hidden if not isinstance(activation, L.HouseHolder) else [8] * len(hidden)), 5]
    for i, (a, b) in enumerate(itertools.pairwise(sizes)):
        parts += [nn.Linear(a, b)] + ([activation] if i < len(hidden) else [])
    model = nn.Sequential(*parts).double().eval()
    with torch.no_grad():
        model[0].weight *= 10.0**power
        model[0].weight[0] = 0
    found = analysis(model, n)
    top, pairs = slope_between_points(model, n, 50)
    assert found.total.best.proved
    assert found.total.best.value <= found.total.value
    assert top <= found.total.best.value * (1 + 1e-12)
    for segment in found.segments:
        assert top <= segment.bound.value * (1 + 1e-12)
        assert bool((pairs <= segment.widths * (1 + 1e-9) + 1e-12 * top).all())


def mlp() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(6, 16),
        nn.ReLU(),
        nn.Linear(16, 16),
        nn.BatchNorm1d(16),
        nn.Tanh(),
        nn.Linear(16, 5),
        L.ChannelKeep(4),
    )


def test_a_network_of_dense_layers_is_one_segment() -> None:
    found = analysis(mlp(), 6)
    (segment,) = found.segments
    assert segment.source is None
    assert len(segment.nodes) == 7
    assert segment.widths.shape == (4, 4)
    assert found.total.tightened is not None
    assert found.total.tightened.value < 0.7 * found.total.value
    assert segment.bound.value == found.total.tightened.value


def test_more_steps_are_tighter() -> None:
    values = [lipschitz_bound(mlp(), (6,), search_steps=steps).best.value for steps in (0, 5, 40)]
    assert values[0] > values[1] > values[2]


def test_the_whole_of_a_matrix_pair_is_its_product() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 9), nn.Linear(9, 4)).double()
    exact = float(torch.linalg.matrix_norm((model[1].weight @ model[0].weight).detach(), 2))
    assert exact <= lipschitz_bound(model, (6,)).best.value <= exact * (1 + 1e-9)


def test_a_tail_behind_convolutions_multiplies_what_is_before_it() -> None:
    torch.manual_seed(0)
    conv = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten())
    tail = mlp()
    tail[0] = nn.Linear(48, 16)
    bound = lipschitz_bound(nn.Sequential(conv, tail), (1, 6, 6))
    alone, before = lipschitz_bound(tail, (48,)), lipschitz_bound(conv, (1, 6, 6))
    assert bound.tightened is not None
    assert bound.tightened.value == pytest.approx(before.value * alone.best.value, rel=1e-12)


class Skip(nn.Module):
    def __init__(self, inside: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(4, 8), nn.Linear(8, 4)
        self.inside = inside

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x)
        y = self.second(hidden.relu())
        return y + hidden[:, :4] if self.inside else y + x


def test_a_value_used_twice_ends_a_segment() -> None:
    assert not analysis(Skip(inside=True), 4).segments
    (segment,) = analysis(Skip(inside=False), 4).segments
    assert len(segment.nodes) == 3
    bound = lipschitz_bound(Skip(inside=False), (4,))
    assert bound.tightened is not None
    assert bound.tightened.value == pytest.approx(1 + segment.bound.value, rel=0.05)


def test_huge_runs_and_infinite_norms_are_left_to_the_product(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onelip.bounds.segments.LARGEST", 1.0)
    assert not analysis(mlp(), 6).segments


def test_scales_at_the_ends_of_float64() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).double()
    for first, second in ((1e150, 1e150), (1e-170, 1e-170), (1e-300, 1e300), (5e-324, 1.0)):
        with torch.no_grad():
            nn.init.normal_(model[0].weight).mul_(first)
            nn.init.normal_(model[2].weight).mul_(second)
        bound = lipschitz_bound(model, (4,))
        top = (
            float(torch.linalg.matrix_norm((model[2].weight @ model[0].weight).detach(), 2)) if first > 1e-200 else 0.0
        )
        assert bound.best.value >= 0.2 * top
        assert math.isfinite(bound.best.value)
