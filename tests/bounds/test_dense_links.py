"""Each description of a module is compared with what the module does to pairs of points."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from onelip import layers as L
from onelip.bounds.dense_links import dense_links, function_links, interval
from onelip.linalg.dense_chain import Factors, Keep, Matrix, Slopes


def prelu(n: int) -> nn.Module:
    module = nn.PReLU(n).double()
    with torch.no_grad():
        module.weight.uniform_(-2, 2)
    return module


ACTIVATIONS: dict[str, nn.Module] = {
    "abs": L.Abs(),
    "beta-abs": L.BetaAbs(0.5),
    "celu": nn.CELU(0.5),
    "elu": nn.ELU(0.7),
    "steep elu": nn.ELU(3.0),
    "gelu": nn.GELU(),
    "tanh gelu": nn.GELU("tanh"),
    "group-sort 2": L.GroupSort(2),
    "group-sort 4": L.GroupSort(4),
    "group-sort 3": L.GroupSort(3),
    "hard-sigmoid": nn.Hardsigmoid(),
    "hardtanh": nn.Hardtanh(),
    "householder": L.HouseHolder(12),
    "householder2": L.HouseHolder2(12),
    "leaky": nn.LeakyReLU(0.3),
    "negative leaky": nn.LeakyReLU(-1.7),
    "log-sigmoid": nn.LogSigmoid(),
    "maxmin": L.MaxMin(),
    "maxmin-relu": L.MaxMinReLU(),
    "n-activation": L.NActivation(12),
    "prelu": prelu(1),
    "prelu 12": prelu(12),
    "relu": nn.ReLU(),
    "relu6": nn.ReLU6(),
    "selu": nn.SELU(),
    "sigmoid": nn.Sigmoid(),
    "silu": nn.SiLU(),
    "soft-huber": L.SoftHuber(),
    "softsign": nn.Softsign(),
    "tanh": nn.Tanh(),
    "tanhshrink": nn.Tanhshrink(),
}


def changes(module: nn.Module, n: int) -> tuple[Tensor, Tensor]:
    """Changes of the input and of the output over far and near pairs, near pairs around the kinks too."""
    g = torch.Generator().manual_seed(0)
    x = 3 * torch.randn(4000, n, generator=g, dtype=torch.float64)
    y = x + torch.randn(4000, n, generator=g, dtype=torch.float64) * 10.0 ** torch.randint(
        -3, 2, (4000, 1), generator=g
    )
    with torch.no_grad():
        return x - y, module.double()(x) - module(y)


def check(slopes: Slopes, z: Tensor, v: Tensor) -> float:
    """Check the claim in every group; return the largest ratio of what is left to what is allowed."""
    rest, allowed = v - slopes.middle * z, slopes.spread * z
    groups = torch.zeros(int(slopes.groups.max()) + 1, z.shape[1], dtype=torch.float64)
    groups[slopes.groups, torch.arange(z.shape[1])] = 1.0
    left, right = rest.square() @ groups.T, allowed.square() @ groups.T
    # Differences of outputs of size 30 are off by 1e-14, those of group sorting by as much as that in each entry.
    assert bool((left.sqrt() <= right.sqrt() * (1 + 1e-9) + 1e-13).all())
    return float((left / right.clamp_min(1e-4)).max())


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_no_pair_of_points_contradicts_the_description(name: str) -> None:
    module = ACTIVATIONS[name].eval()
    variants = dense_links(module, (12,))
    assert variants is not None
    z, v = changes(module, 12)
    tightest = 0.0
    for links in variants:
        if len(links) == 3:
            matrix, slopes, back = links
            assert isinstance(matrix, Matrix)
            assert isinstance(back, Matrix)
            assert torch.equal(back.weight @ matrix.weight, torch.eye(12, dtype=torch.float64))
            u, w = z @ matrix.weight.T, v @ matrix.weight.T
        else:
            (slopes,), u, w = links, z, v
        assert isinstance(slopes, Slopes)
        tightest = max(tightest, check(slopes, u, w))
    # Some pair comes near to what is allowed, so the description is not needlessly loose.
    assert tightest > 0.6


@pytest.mark.parametrize("n", [1, 2, 3, 7])
@pytest.mark.parametrize("activation", [L.MaxMin(), L.MaxMinReLU()])
def test_odd_numbers_of_channels_keep_the_last_one(n: int, activation: nn.Module) -> None:
    variants = dense_links(activation, (n,))
    assert variants is not None
    (plain,), (sums, slopes, _) = variants
    assert isinstance(plain, Slopes)
    assert isinstance(sums, Matrix)
    assert isinstance(slopes, Slopes)
    z, v = changes(activation, n)
    check(plain, z, v)
    check(slopes, z @ sums.weight.T, v @ sums.weight.T)
    assert int((slopes.spread > 0).sum()) == n // 2


def test_affine_modules() -> None:
    torch.manual_seed(0)
    linear, norm = nn.Linear(5, 4), nn.BatchNorm1d(4)
    norm.running_var.uniform_(0.5, 2)
    nn.init.uniform_(norm.weight, -2, 2)
    links = [variants[0][0] for variants in (dense_links(linear, (5,)), dense_links(norm.eval(), (4,))) if variants]
    assert isinstance(links[0], Matrix)
    assert torch.equal(links[0].weight, linear.weight.double())
    assert isinstance(links[1], Factors)
    with torch.no_grad():
        norm = norm.double()
        z, v = changes(norm, 4)
    assert torch.allclose(v, links[1].values * z, rtol=1e-12, atol=1e-12)
    assert dense_links(L.ChannelKeep(3), (5,)) == ([Keep(0, 3)],)
    assert dense_links(nn.Flatten(), (5, 1, 1)) == ([],)


def test_what_is_not_dense_is_left_out() -> None:
    assert dense_links(nn.Linear(5, 4), (3, 5)) is None
    assert dense_links(L.MaxMin(), (3, 5)) is None
    assert dense_links(nn.ELU(-1.0), (5,)) is None
    assert dense_links(nn.Softmax(1), (5,)) is None
    assert dense_links(nn.BatchNorm1d(4, track_running_stats=False), (4,)) is None

    class Doubled(nn.ReLU):
        def forward(self, input: Tensor) -> Tensor:
            return 2 * super().forward(input)

    assert dense_links(Doubled(), (5,)) is None


def test_functions() -> None:
    variants = function_links(torch.relu, (4,))
    assert variants is not None
    assert isinstance(variants[0][0], Slopes)
    assert function_links("flatten", (4,)) == ([],)
    assert function_links(torch.sin, (4,)) is None
    assert function_links([], (4,)) is None


def test_interval_covers_its_own_rounding() -> None:
    low, high = torch.tensor([0.1, 0.3, -0.7]).double(), torch.tensor([0.7, 0.3, 1e17]).double()
    slopes = interval(low, high)
    for k in range(3):
        from_below = slopes.middle[k].item() - slopes.spread[k].item()
        assert from_below <= low[k].item()
        assert slopes.middle[k].item() + slopes.spread[k].item() >= high[k].item()
    assert slopes.spread[1] == 0
