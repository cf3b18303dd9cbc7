"""Averages of the weights along the training, brought back onto the constraints."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers import retract_
from onelip.layers.orthogonal_block import is_trusted, trust
from onelip.tasks.callbacks import AfterStep

_KEY = "weight_average"


class WeightAverage(AfterStep):
    """Keep the exponential moving average of the parameters, and validate, save and end with it.

    After each step of the optimiser the average goes 1 - d of the way to the parameters, d = min(decay, (1 + t) /
    (10 + t)) at its t-th step, or d = decay without warm-up. It takes the place of the parameters during validation and
    at the end of the training, retracted onto the constraint sets: an average of orthogonal matrices is shorter than
    they are. Buffers are the current ones.

    Checkpoints hold the averaged weights in their `state_dict`, and what is needed to go on to the same numbers under
    "weight_average". List it behind `Retract`.

    Args:
        decay: Weight of the past in each step, at least 0 and below 1.
        warmup: Begin with smaller decays, which forget the first weights sooner?
        start: Part of the training before the average begins, at least 0 and below 1; until then everything is as
            without this callback.

    Raises:
        ValueError: If an argument is out of range.

    Paper: Polyak and Juditsky 1992; Tarvainen and Valpola 2017, arXiv:1703.01780 (exponential averages).
    """

    def __init__(self, decay: float = 0.999, *, warmup: bool = True, start: float = 0.0) -> None:
        for name, value in (("decay", decay), ("start", start)):
            if not 0.0 <= value < 1.0:
                raise ValueError(f"{name}={value!r} in WeightAverage must be at least 0 and below 1")
        super().__init__()
        self.decay, self.warmup, self.start = decay, warmup, start
        self._n_updates = 0
        self._average: list[Tensor] = []
        self._training: list[Tensor] | None = None
        self._trusted: list[bool] = []

    @property
    def active(self) -> bool:
        """Are the averaged weights in the model right now?"""
        return self._training is not None

    @override
    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._back(pl_module)

    @override
    def after_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if _progress(trainer, pl_module) >= self.start:
            self._update(pl_module)

    @override
    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn is TrainerFn.FITTING and not trainer.sanity_checking:
            self._put(pl_module)

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._back(pl_module)

    @override
    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._put(pl_module)

    @override
    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._back(pl_module)

    @override
    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if not self._average:
            return
        training = self._training
        if training is None:
            self._put(pl_module)
            training = self._training
            checkpoint["state_dict"] = {k: v.clone() for k, v in pl_module.state_dict().items()}
            self._back(pl_module)
        checkpoint[_KEY] = {"n_updates": self._n_updates, "average": self._average, "training": training}

    @override
    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if _KEY not in checkpoint:
            return
        saved = checkpoint[_KEY]
        self._n_updates = saved["n_updates"]
        parameters = list(pl_module.parameters())
        self._average = [a.detach().clone() for a in saved["average"]]
        _copy(parameters, saved["training"])

    def _update(self, module: nn.Module) -> None:
        parameters = [p.detach() for p in module.parameters()]
        if not self._average:
            self._average = [p.clone() for p in parameters]
        self._average = [a.to(p.device) for a, p in zip(self._average, parameters, strict=True)]
        decay = self.decay
        if self.warmup:
            decay = min(decay, (1 + self._n_updates) / (10 + self._n_updates))
        torch._foreach_lerp_(self._average, parameters, 1 - decay)
        self._n_updates += 1

    def _put(self, module: nn.Module) -> None:
        # The average takes the parameters' place.
        if not self._average or self._training is not None:
            return
        parameters = list(module.parameters())
        self._training = [p.detach().clone() for p in parameters]
        self._trusted = [is_trusted(p) for p in parameters]
        _copy(parameters, self._average)
        retract_(module)

    def _back(self, module: nn.Module) -> None:
        if self._training is None:
            return
        parameters = list(module.parameters())
        _copy(parameters, self._training)
        for parameter, trusted in zip(parameters, self._trusted, strict=True):
            if trusted:
                trust(parameter)
        self._training = None


def _progress(trainer: pl.Trainer, module: pl.LightningModule) -> float:
    # A task that knows better, as when it trains for a given time, says so.
    known = getattr(module, "progress", None)
    return known if isinstance(known, float) else trainer.global_step / float(trainer.estimated_stepping_batches)


@torch.no_grad()
def _copy(parameters: list[nn.Parameter], values: list[Tensor]) -> None:
    for parameter, value in zip(parameters, values, strict=True):
        parameter.copy_(value)
