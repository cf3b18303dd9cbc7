"""Skip connections: true norm, composed bound, plain form."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from onelip.layers import (
    AdditiveResidual,
    BatchLipNorm,
    ConcatResidual,
    L2NormResidual,
    MaxMin,
    PrescaledResidual,
    Residual,
    Scale,
    Sum,
    to_plain,
)
from onelip.linalg import Bound

EVERY: list[type[Residual]] = [AdditiveResidual, PrescaledResidual, ConcatResidual, L2NormResidual]


def _reflect(x: Tensor) -> Tensor:
    return x.flip(1)


class _Flip(nn.Module):
    """An isometry that no rule of the library knows."""

    def forward(self, x: Tensor) -> Tensor:
        return _reflect(x)


def _norms(layer: nn.Module) -> list[float]:
    found = []
    for x in (torch.randn(1, 6), torch.zeros(1, 6), torch.ones(1, 6)):
        jacobian = torch.func.jacrev(layer)(x.double()).detach().reshape(-1, 6)
        assert bool(torch.isfinite(jacobian).all())
        found.append(float(torch.linalg.svdvals(jacobian)[0]))
    return found


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("cls", EVERY)
@pytest.mark.parametrize("alpha", [-3.0, 0.0, 0.7, 30.0])
def test_norm_is_below_the_bound(cls: type[Residual], factor: float, alpha: float) -> None:
    layer = cls(nn.Sequential(Scale(factor), MaxMin(), nn.Identity())).double()
    for parameter in layer.parameters():
        parameter.data.fill_(alpha)
    bound = layer.lipschitz_bound((6,))
    assert bound.proved
    assert max(_norms(layer)) <= bound.value + 1e-14
    assert bound.value <= max(1.0, factor)
    # One step up per operation at most.
    assert torch.allclose(to_plain(layer)(torch.ones(1, 6)), layer.float()(torch.ones(1, 6)), atol=1e-5)


@pytest.mark.parametrize("cls", EVERY)
def test_bound_is_attained(cls: type[Residual]) -> None:
    layer = cls(Scale(0.5)).double()
    assert layer.lipschitz_bound().value == pytest.approx(max(_norms(layer)), abs=1e-12)


@pytest.mark.parametrize("cls", [AdditiveResidual, PrescaledResidual])
def test_plain_form_is_a_sum_of_scaled_branches(cls: type[Residual]) -> None:
    layer = cls(MaxMin()).double()
    plain = to_plain(layer)
    x = torch.randn(4, 6, dtype=torch.float64)
    assert torch.allclose(plain(x), layer(x), rtol=0, atol=1e-15)
    assert {type(m) for m in plain.modules() if not list(m.children())} <= {Scale, MaxMin, nn.Identity}
    assert any(isinstance(m, Sum) for m in plain.modules())
    torch.fx.symbolic_trace(nn.Sequential(Sum(nn.Identity(), Scale(2.0))))


def test_bound_of_a_branch_from_elsewhere() -> None:
    layer = AdditiveResidual(_Flip())
    with pytest.raises(ValueError, match="branch _Flip has no lipschitz_bound"):
        layer.lipschitz_bound()
    assert layer.bound_from(Bound(1.0, True, "exact")) == Bound(1.0, True, "convex combination")
    assert not layer.bound_from(Bound(1.0, False, "estimate")).proved


def test_sum_adds_bounds() -> None:
    layer = Sum(Scale(0.5), Scale(2.0), nn.Identity())
    assert layer.lipschitz_bound().value == pytest.approx(3.5, abs=1e-14)
    assert torch.equal(layer(torch.ones(2)), torch.full((2,), 3.5))
    with pytest.raises(ValueError, match=r"branches=\(\) in Sum"):
        Sum()


def test_odd_channels_and_shapes_in_concatenation() -> None:
    layer = ConcatResidual(Scale(0.0))
    assert layer(torch.ones(1, 5)).tolist() == [[1, 1, 1, 0, 0]]
    with pytest.raises(ValueError, match="input with 1 channel in ConcatResidual"):
        layer(torch.ones(1, 1))


@pytest.mark.parametrize("cls", EVERY)
def test_refusals(cls: type[Residual]) -> None:
    with pytest.raises(ValueError, match=f"fn=3 in {cls.__name__} must be a module"):
        cls(3)  # type: ignore[arg-type]
    if cls in (AdditiveResidual, PrescaledResidual):
        with pytest.raises(ValueError, match="init=nan"):
            cls(nn.Identity(), init=float("nan"))  # type: ignore[call-arg]


def test_a_bound_in_training_leaves_the_statistics_of_a_branch_alone() -> None:
    statistics = BatchLipNorm(4)
    layer = PrescaledResidual(nn.Sequential(MaxMin(), statistics, MaxMin()))
    before = {k: v.clone() for k, v in statistics.state_dict().items()}
    assert layer.lipschitz_bound((4,)).proved
    assert statistics.training
    assert all(torch.equal(v, before[k]) for k, v in statistics.state_dict().items())
