from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers import project_, retract_, to_plain
from onelip.layers.constrained import ConstrainedModule
from onelip.layers.plain import evaluating
from onelip.linalg import EXACT_ONE, Bound


class Halved(ConstrainedModule):
    """y = w x / 2 with a raw parameter that counts its retractions."""

    def __init__(self) -> None:
        super().__init__()
        self.raw_weight = nn.Parameter(torch.randn(3, 3))
        self.retractions = 0

    @override
    def forward(self, x: Tensor) -> Tensor:
        return x @ self.raw_weight.T / 2

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        return EXACT_ONE

    @override
    def to_plain(self) -> nn.Module:
        plain = nn.Linear(3, 3, bias=False)
        with torch.no_grad():
            plain.weight.copy_(self.raw_weight / 2)
        return plain

    @override
    def retract_(self) -> None:
        self.retractions += 1


class Nested(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.first = inner
        self.blocks = nn.ModuleList([nn.Sequential(inner, nn.ReLU()), nn.ModuleDict({"b": nn.BatchNorm1d(3)})])
        self.register_buffer("offset", torch.ones(3))

    @override
    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.blocks[1]["b"](self.blocks[0](self.first(x))) + self.offset
        return y


def test_every_layer_of_a_model_becomes_plain_and_the_function_stays() -> None:
    model = Nested(Halved())
    plain = to_plain(model)
    x = torch.randn(4, 3)
    torch.testing.assert_close(plain(x), model.eval()(x))
    assert not [m for m in plain.modules() if isinstance(m, ConstrainedModule)]
    assert not any(m.training for m in plain.modules())


def test_a_module_used_twice_stays_one_module() -> None:
    plain = to_plain(Nested(Halved()))
    assert plain.first is plain.blocks[0][0]


def test_the_model_is_left_alone_and_shares_nothing() -> None:
    model = Nested(Halved())
    before = {k: v.clone() for k, v in model.state_dict().items()}
    plain = to_plain(model)
    with torch.no_grad():
        for tensor in plain.state_dict().values():
            tensor.zero_()
    assert model.training
    assert isinstance(model.first, Halved)
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())


def test_a_layer_alone_becomes_its_plain_form() -> None:
    assert type(to_plain(Halved())) is nn.Linear


def test_retraction_reaches_every_layer_once() -> None:
    model = Nested(Halved())
    retract_(model)
    assert model.first.retractions == 1


class _Projected(Halved):
    @override
    def project_(self) -> int:
        return 3


def test_projection_counts_the_steps_of_all_layers() -> None:
    model = nn.Sequential(_Projected(), nn.Linear(2, 2), Halved(), _Projected())
    assert project_(model) == 6
    assert project_(nn.Linear(2, 2)) == 0


def test_evaluating_restores_each_mode_even_after_errors() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout()).train()
    model[1].eval()

    def fail() -> None:
        with evaluating(model):
            assert not any(m.training for m in model.modules())
            raise KeyError("stop")

    with pytest.raises(KeyError, match="stop"):
        fail()
    assert [m.training for m in model.modules()] == [True, True, False]
