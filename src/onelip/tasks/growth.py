"""Networks that begin shallow: layers that begin as the identity join during the training."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, cast

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.block_kernel import BlockKernel
from onelip.layers.leaf import Activation
from onelip.tasks.classification import Classification

Layer = tuple[Activation, BlockKernel, Activation]
"""A convolution between two activations, of which the second is left out with it."""

_TOLERANCE = 1e-4
"""Relative change by a layer that counts as the identity."""


class Growth(pl.Callback):
    """Train with few layers first, and let the others join, each as the identity that it begins as.

    A run is convolutions in one `nn.Sequential` with `start="identity"`, between activations. Of a run of d the first
    takes part from the beginning and number j = 1..d-1 joins at the ceil(j n / (d - 1))-th of n given parts of the
    training. Before, it and its activation are left out and cost nothing, so that a given time has room for more
    epochs. An activation that leaves its own output alone makes the function of the network the same before and after
    a layer joins: a checkpoint holds all layers, and after the training all take part.

    The module that is trained tells its `progress` in [0, 1], as `Classification` does.

    Args:
        joins: Ascending parts of the training in (0, 1).

    Raises:
        ValueError: The parts are not such; at the begin of a training, if the network has no such layer or one of them
            is not the identity.

    Paper: Chen, Goodfellow and Shlens 2016, arXiv:1511.05641 (deeper networks of the same function).
    """

    def __init__(self, joins: Sequence[float]) -> None:
        if not joins or not all(a < b for a, b in pairwise([0.0, *joins, 1.0])):
            raise ValueError(f"joins={list(joins)} in Growth must be ascending parts of the training in (0, 1)")
        self._joins = tuple(joins)
        self._waiting: list[tuple[float, Layer]] = []

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Weights of a resumed training have moved.
        if trainer.global_step == 0:
            check_growth(pl_module)
        for run in identity_runs(pl_module):
            for j, layer in enumerate(run[1:], start=1):
                turn = -(-j * len(self._joins) // (len(run) - 1))
                self._waiting.append((self._joins[turn - 1], layer))
                for module in layer[1:]:
                    # An attribute of the instance comes before the method, and no parameter changes its name.
                    module.__dict__["forward"] = _leave

    @override
    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self._waiting:
            self._let_join(cast(Classification, pl_module).progress)

    @override
    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._let_join(1.0)

    @override
    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._let_join(1.0)

    def _let_join(self, progress: float) -> None:
        for _, layer in (due := [w for w in self._waiting if w[0] <= progress]):
            for module in layer[1:]:
                del module.__dict__["forward"]
        self._waiting = [w for w in self._waiting if w not in due]


def check_growth(model: nn.Module) -> None:
    """Check that a fresh network can grow.

    Args:
        model: Any network.

    Raises:
        ValueError: It has no layers that could join, or one of them is not the identity.
    """
    joining = [layer for run in identity_runs(model) for layer in run[1:]]
    if not joining:
        raise ValueError(
            "growth needs a network with convolutions that begin at the identity, two or more in a row, each between "
            "two activations, as 'pyramid' has with layer 'aoc'; this one has none"
        )
    for layer in joining:
        _check_identity(*layer)


def identity_runs(model: nn.Module) -> list[list[Layer]]:
    """Find the convolutions of a network that are to begin at the identity.

    Args:
        model: Any network.

    Returns:
        The runs.
    """
    runs: list[list[Layer]] = []
    for container in model.modules():
        if isinstance(container, nn.Sequential):
            runs += _runs_in(list(container))
    return runs


def _runs_in(parts: list[nn.Module]) -> list[list[Layer]]:
    runs: list[list[Layer]] = []
    last: int | None = None
    for i in range(1, len(parts) - 1):
        before, layer, after = parts[i - 1 : i + 2]
        if not (isinstance(layer, BlockKernel) and getattr(layer, "start", None) == "identity"):
            continue
        if isinstance(before, Activation) and isinstance(after, Activation):
            if last != i - 2:
                runs.append([])
            runs[-1].append((before, layer, after))
            last = i
    return runs


@torch.no_grad()
def _check_identity(before: Activation, convolution: BlockKernel, after: Activation) -> None:
    like = next(convolution.parameters())
    shape = (4, cast(int, convolution.in_channels), *[8] * (convolution.weight.dim() - 2))
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(like)
    if not any(True for _ in before.parameters()):
        # One that learns may be another by then, and leaves no trace that could be relied on.
        x = before(x)
    change = (after(convolution(x)) - x).abs().max() / x.abs().max()
    if not change < _TOLERANCE:
        raise ValueError(
            f"growth needs layers that change nothing when they join, but {type(convolution).__name__} and "
            f"{type(after).__name__} behind {type(before).__name__} change values by up to {float(change):.1e} of the "
            f"largest; let biases begin at 0, and use an activation that leaves its own output alone, like 'beta-abs', "
            f"'abs' or 'maxmin'"
        )


def _leave(x: Tensor) -> Tensor:
    return x
