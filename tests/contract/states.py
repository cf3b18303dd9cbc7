"""The states a layer can be in when its promises are checked (design contract, section 3)."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass

import torch
from tests.contract.cases import Case
from torch import Tensor, nn


@dataclass(frozen=True)
class Subject:
    """A layer in some state.

    Attributes:
        layer: The layer.
        shape: An input it shall be measured on, without the batch axis.
        dtype: Its precision now.
        conditioned: Are the raw weights of condition number 1e3 at most, so that orthogonality is promised?
        modes: Modes to measure it in, in this order: True for train.
    """

    layer: nn.Module
    shape: tuple[int, ...]
    dtype: torch.dtype
    conditioned: bool = True
    modes: tuple[bool, ...] = (True, False)


def raw_parameters(layer: nn.Module) -> dict[str, Tensor]:
    """The parameters that the constrained weight is built from: all but biases."""
    return {name: p for name, p in layer.named_parameters() if not name.endswith("bias")}


def train(layer: nn.Module, x: Tensor, *, steps: int = 2, rate: float = 0.05) -> nn.Module:
    """Take optimiser steps on a random linear loss, and leave the layer in train mode."""
    layer.train()
    parameters = [p for p in layer.parameters() if p.requires_grad]
    if not parameters:
        return layer
    optimizer = torch.optim.Adam(parameters, rate)
    direction: Tensor | None = None
    for _ in range(steps):
        optimizer.zero_grad()
        y = layer(x)
        if direction is None:
            direction = torch.randn(y.shape, generator=torch.Generator().manual_seed(3), dtype=y.dtype).to(y.device)
        (y * direction).sum().backward()
        optimizer.step()
    optimizer.zero_grad()
    return layer


def perturb_(layer: nn.Module, seed: int = 0, size: float = 0.3) -> nn.Module:
    """Add noise to every parameter, so that none sits at a special value of its initialisation."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in layer.parameters():
            p.add_(size * torch.randn(p.shape, generator=generator, dtype=p.dtype))
    return layer


def trained(case: Case) -> nn.Module:
    """A layer after some optimiser steps: a copy of one that is trained once for each case of a record in turn."""
    if case not in _TRAINED:
        if any(other.record is not case.record for other in _TRAINED):
            _TRAINED.clear()
        _TRAINED[case] = train(case.build(), case.input())
    return copy.deepcopy(_TRAINED[case])


_TRAINED: dict[Case, nn.Module] = {}


def clone_by_pickle(layer: nn.Module) -> nn.Module:
    """Send a layer through pickle."""
    restored: nn.Module = pickle.loads(pickle.dumps(layer))
    return restored


def clone_by_state(case: Case, layer: nn.Module) -> nn.Module:
    """Load a layer's state strictly, through a file, into a fresh layer of another seed."""
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    fresh = case.build(seed=99)
    fresh.load_state_dict(torch.load(file, weights_only=True), strict=True)
    return fresh


def _edited(case: Case, edit: Callable[[Tensor], Tensor], *, conditioned: bool) -> Subject:
    layer = case.build()
    with torch.no_grad():
        for p in raw_parameters(layer).values():
            p.copy_(edit(p))
    return Subject(layer, case.shape, case.dtype, conditioned)


def _ones_like_rank_one(p: Tensor) -> Tensor:
    return p.flatten(1)[:1].expand(p.shape[0], -1).reshape(p.shape) if p.dim() > 1 else p


def _ill_conditioned(case: Case) -> Subject:
    """Multiply rows of the fresh raw weight by factors from 1 down to 1e-3."""
    layer = case.build()
    weight_shape = getattr(getattr(layer, "weight", None), "shape", None)
    with torch.no_grad():
        for p in raw_parameters(layer).values():
            if p.dim() < 2:
                continue
            # A raw weight in the weight's own layout is a matrix with one row for each output; else a batch of them.
            axis = 0 if p.shape == weight_shape else p.dim() - 2
            factors = torch.logspace(0, -3, p.shape[axis], dtype=p.dtype)
            p.mul_(factors.reshape([-1 if a == axis else 1 for a in range(p.dim())]))
    return Subject(layer, case.shape, case.dtype)


def _loaded(case: Case) -> Subject:
    return Subject(clone_by_state(case, trained(case)), case.shape, case.dtype, modes=(False, True))


def _moved(case: Case) -> Subject:
    layer = trained(case).eval()
    layer(case.input())
    return Subject(layer.to(torch.float64), case.shape, torch.float64, modes=(False, True))


def _copied_after_forward(case: Case) -> Subject:
    layer = trained(case)
    layer(case.input())
    return Subject(copy.deepcopy(layer), case.shape, case.dtype)


def _pickled(case: Case) -> Subject:
    layer = trained(case).eval()
    layer(case.input())
    return Subject(clone_by_pickle(layer), case.shape, case.dtype, modes=(False, True))


def _other_size(case: Case) -> Subject:
    layer = trained(case).eval()
    layer(case.input())
    return Subject(layer, case.larger_shape(), case.dtype, modes=(False, True))


STATES: dict[str, Callable[[Case], Subject]] = {
    "fresh": lambda case: Subject(case.build(), case.shape, case.dtype),
    "eval first": lambda case: Subject(case.build().eval(), case.shape, case.dtype, modes=(False,)),
    "trained": lambda case: Subject(trained(case), case.shape, case.dtype),
    "trained with large steps": lambda case: Subject(
        train(case.build(), case.input(), rate=1.0), case.shape, case.dtype, conditioned=False
    ),
    "loaded": _loaded,
    "moved to float64": _moved,
    "copied after a training forward": _copied_after_forward,
    "pickled": _pickled,
    "at another input size": _other_size,
    "perturbed": lambda case: Subject(perturb_(case.build()), case.shape, case.dtype, conditioned=False),
    "raw weights x 1e-3": lambda case: _edited(case, lambda p: p * 1e-3, conditioned=True),
    "raw weights x 1e3": lambda case: _edited(case, lambda p: p * 1e3, conditioned=True),
    "raw weights zero": lambda case: _edited(case, torch.zeros_like, conditioned=False),
    "raw weights of rank one": lambda case: _edited(case, _ones_like_rank_one, conditioned=False),
    "raw weights of condition 1e3": _ill_conditioned,
}
