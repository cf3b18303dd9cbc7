"""Any method that keeps norms small, at work in a Lightning trainer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning.pytorch as pl
from typing_extensions import override

from onelip.spectral import TrainingMethod


class TrainingMethodCallback(pl.Callback):
    """Call `method.step()` after each step of the optimiser, and log the norms that it measures.

    Steps are counted, not batches, so gradients may be accumulated; a batch in which several optimisers step counts
    once. Norms go to every logger as `spectral_norm/<part>`. The method's state is part of each checkpoint. A
    `penalty()` is for the task to add to its loss.

    Args:
        method: Made for the model that is trained.

    Attributes:
        method: The method.
    """

    def __init__(self, method: TrainingMethod) -> None:
        self.method = method
        self._steps_seen: int | None = None

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._steps_seen = trainer.global_step

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step == self._steps_seen:
            return
        self._steps_seen = trainer.global_step
        norms = self.method.step()
        if norms is not None:
            log_norms(trainer, norms)

    @override
    def state_dict(self) -> dict[str, Any]:
        return self.method.state_dict()

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.method.load_state_dict(state_dict)


def log_norms(trainer: pl.Trainer, norms: Mapping[str, float]) -> None:
    """Write norms to every logger of a trainer, as `spectral_norm/<part>`.

    Args:
        trainer: Its `global_step` is the abscissa.
        norms: By part.
    """
    for logger in trainer.loggers:
        logger.log_metrics({f"spectral_norm/{part}": norm for part, norm in norms.items()}, step=trainer.global_step)
