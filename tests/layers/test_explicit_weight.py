from __future__ import annotations

import copy
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.explicit import ExplicitLinear


class TwoFactors(ExplicitLinear):
    """W = sign(a) tanh(B): two raw parameters, and a log of the precisions that the weight was built in."""

    raw_names: ClassVar[tuple[str, ...]] = ("a", "b")

    def __init__(self, in_features: int, out_features: int, dtype: torch.dtype | None = None) -> None:
        super().__init__(in_features, out_features, dtype=dtype)
        self.a = nn.Parameter(torch.ones(1, dtype=dtype))
        self.b = nn.Parameter(torch.randn(out_features, in_features, dtype=dtype))
        self.built_in: list[torch.dtype] = []

    @override
    def constrain(self, *raw: Tensor) -> Tensor:
        a, b = raw
        self.built_in.append(b.dtype)
        return a.sign() * torch.tanh(b)

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        return torch.ones(1, dtype=weight.dtype), torch.atanh(weight.clamp(-0.999, 0.999))

    @override
    def retraction(self, *raw: Tensor) -> tuple[Tensor, ...]:
        return raw[0].sign(), raw[1]


def test_training_builds_in_the_parameters_precision_at_every_access() -> None:
    layer = TwoFactors(3, 2)
    assert layer.weight is not layer.weight
    assert layer.weight.requires_grad
    assert layer.built_in == [torch.float32] * 3


def test_eval_builds_once_in_float64_and_rounds_once() -> None:
    layer = TwoFactors(3, 2).eval()
    with torch.no_grad():
        assert layer.weight is layer.weight
    assert layer.built_in == [torch.float64]
    assert torch.equal(layer.weight, torch.tanh(layer.b.double()).float())


def test_low_precision_parameters_are_widened_to_build() -> None:
    layer = TwoFactors(3, 2, dtype=torch.bfloat16)
    assert layer.weight.dtype == torch.bfloat16
    assert layer.built_in == [torch.float32]


def test_autocast_does_not_reach_the_constraint() -> None:
    layer = TwoFactors(3, 2)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer.weight.dtype == torch.float32


def test_eval_weight_is_that_of_eval_in_train_mode_too() -> None:
    layer = TwoFactors(3, 2)
    weight = layer.eval_weight()
    assert layer.training
    assert not weight.requires_grad
    assert torch.equal(weight, layer.eval().weight)


def test_assignment_goes_through_the_right_inverse() -> None:
    layer = TwoFactors(3, 2)
    wanted = torch.rand(2, 3) / 2
    layer.weight = wanted
    torch.testing.assert_close(layer.weight.detach(), wanted)
    assert set(dict(layer.named_parameters())) == {"a", "b", "bias"}


@pytest.mark.parametrize("value", [torch.zeros(3, 2), 1.0, None])
def test_assignment_of_something_else_is_one_sentence(value: object) -> None:
    with pytest.raises(ValueError, match=r"weight=.* assigned to TwoFactors must be a tensor of shape \(2, 3\)"):
        TwoFactors(3, 2).weight = value  # type: ignore[assignment]


def test_retraction_edits_raw_parameters_in_place() -> None:
    layer = TwoFactors(3, 2)
    with torch.no_grad():
        layer.a.fill_(5.0)
    before, a, b_version = layer.weight.detach(), layer.a, layer.b._version
    layer.retract_()
    assert layer.a is a
    assert float(layer.a.detach()) == 1.0
    assert layer.b._version == b_version, "a raw parameter that stays was written to"
    assert torch.equal(layer.weight, before)


def test_a_raw_parameter_may_be_absent() -> None:
    layer = TwoFactors(3, 2)
    layer.a = None  # type: ignore[assignment]
    assert layer.raw == (layer.b,)


def test_copies_do_not_share_the_weight() -> None:
    layer = TwoFactors(3, 2).eval()
    with torch.no_grad():
        first = layer.weight
        clone = copy.deepcopy(layer)
        clone.b.zero_()
        assert not clone.weight.any()
        assert layer.weight is first


@pytest.mark.parametrize("at_zero", [False, True])
def test_bias_starts_like_torchs_or_at_zero(at_zero: bool) -> None:
    class Layer(TwoFactors):
        bias_starts_at_zero: ClassVar[bool] = at_zero

    layer = Layer(16, 400)
    assert layer.bias is not None
    size = float(layer.bias.detach().abs().max())
    assert size == 0.0 if at_zero else 0.2 < size <= 0.25
