"""A network-wide constant: shared out, never exceeded."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from onelip import lipschitz_bound
from onelip.layers import (
    AdditiveResidual,
    BatchLipNorm,
    BjorckLinear,
    ConvexResidual,
    MaxMin,
    Scale,
    distribute_constant,
    to_plain,
)


def _network() -> nn.Sequential:
    torch.manual_seed(0)
    branch = nn.Sequential(Scale(0.5), BatchLipNorm(6))
    return nn.Sequential(
        BjorckLinear(6, 6), Scale(1.0), BatchLipNorm(6), MaxMin(), AdditiveResidual(branch), Scale(-1.0),
        nn.Sequential(ConvexResidual(nn.Identity(), Scale(0.25)), BatchLipNorm(6)),
    )  # fmt: skip


@pytest.mark.parametrize("constant", [0.5, 1.0, 8.0])
def test_the_networks_constant_is_the_budget(constant: float) -> None:
    model = _network()
    share = distribute_constant(model, constant)
    assert share == pytest.approx(constant ** (1 / 4), rel=1e-14)
    assert [model[1].factor, model[5].factor] == [share, -share]
    assert [model[2].constant, model[6][1].constant] == [share, share]
    # Branches of skip connections keep their own factors.
    assert [model[4].fn[0].factor, model[4].fn[1].constant] == [0.5, 1.0]
    for statistics in (model[2], model[6][1]):
        statistics.running_var.zero_()
    bound = lipschitz_bound(model.eval(), (6,))
    assert bound.proved
    assert bound.value <= constant * (1 + 1e-5)
    assert lipschitz_bound(to_plain(model), (6,)).value <= constant * (1 + 1e-5)


def test_the_budget_is_used_up_by_quiet_signals_alone() -> None:
    model = nn.Sequential(Scale(1.0), BatchLipNorm(3)).eval()
    distribute_constant(model, 4.0)
    model[1].running_var.fill_(25.0)
    assert lipschitz_bound(model, (3,)).value == pytest.approx(2 / 5, rel=1e-6)
    model[1].running_var.fill_(1e-3)
    assert lipschitz_bound(model, (3,)).value == pytest.approx(4, rel=1e-12)
    assert lipschitz_bound(model, (3,)).value <= 4 * (1 + 1e-15)


def test_a_shared_layer_counts_once() -> None:
    layer = Scale(1.0)
    assert distribute_constant(nn.Sequential(layer, nn.ReLU(), layer), 9.0) == 9.0


def test_refusals() -> None:
    with pytest.raises(
        ValueError, match=r"constant=2.0 in distribute_constant has no Scale or BatchLipNorm .* in Linear"
    ):
        distribute_constant(nn.Linear(2, 2), 2.0)
    with pytest.raises(ValueError, match="constant=0 shared by Scale layers"):
        distribute_constant(nn.Sequential(Scale(1.0)), 0)
