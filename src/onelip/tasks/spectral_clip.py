"""FastClip during training in a Lightning trainer."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
from torch import Tensor, nn
from typing_extensions import override

from onelip.spectral import SpectralClipper
from onelip.spectral.clipper import BatchNormMode, EventKind
from onelip.tasks.training_method_callback import MethodCallback


class SpectralClip(MethodCallback):
    """Keep the norm of each convolution and dense layer at most `max_norm` while a Lightning trainer trains them.

    A `SpectralClipper` for any LightningModule. Every `period` steps of the optimiser (not batches), before each
    validation and at the end of each epoch the parts are clipped, and their norms go to every logger as
    `spectral_norm/<part>`. Its state is part of each checkpoint, and a resumed training goes on to the same weights.

    Args:
        max_norm: Positive.
        input_shape: Shape of one input, without the batch; by default that of the first batch, which then must be a
            tensor or begin with one.
        attribute: Name of the attribute of the LightningModule that is the network; by default, itself.
        period: Steps from one event to the next.
        delay: Steps without events at the beginning.
        batch_norm: "keep", "clip" or "joint", see `SpectralClipper`.
        event: "fastclip" or "published", see `SpectralClipper`. "published" clips at its events only.
        tol: Relative excess over `max_norm` that "fastclip" lets be.

    Attributes:
        method: The `SpectralClipper`, from the first batch on.
    """

    def __init__(
        self,
        max_norm: float = 1.0,
        *,
        input_shape: tuple[int, ...] | None = None,
        attribute: str | None = None,
        period: int = 100,
        delay: int = 0,
        batch_norm: BatchNormMode = "keep",
        event: EventKind = "fastclip",
        tol: float = 1e-2,
    ) -> None:
        super().__init__(None)
        self._options: dict[str, Any] = {
            "period": period,
            "delay": delay,
            "batch_norm": batch_norm,
            "event": event,
            "tol": tol,
        }
        # Wrong options are refused here, not at the first batch.
        SpectralClipper(nn.Identity(), max_norm, (1,), **self._options)
        self._max_norm = max_norm
        self._input_shape = input_shape
        self._attribute = attribute

    @property
    @override
    def state_key(self) -> str:
        return self._generate_state_key(attribute=self._attribute)

    @override
    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self.method is None:
            shape = self._input_shape or _shape(batch)
            self.begin(SpectralClipper(self._network(pl_module), self._max_norm, shape, **self._options))

    def _network(self, pl_module: pl.LightningModule) -> nn.Module:
        if self._attribute is None:
            return pl_module
        network = getattr(pl_module, self._attribute, None)
        if not isinstance(network, nn.Module):
            raise ValueError(f"attribute={self._attribute!r} is no module of {type(pl_module).__name__}")
        return network


def _shape(batch: Any) -> tuple[int, ...]:
    first = batch[0] if isinstance(batch, tuple | list) and batch else batch
    if not isinstance(first, Tensor):
        raise ValueError(f"input_shape=None in SpectralClip: the batch is {type(batch).__name__}, so give the shape")
    return tuple(first.shape[1:])
