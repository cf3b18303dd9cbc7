"""Any method that keeps norms small, at work in a Lightning trainer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.trainer.states import TrainerFn
from typing_extensions import override

from onelip.spectral import SpectralClipper, TrainingMethod
from onelip.tasks.callbacks import AfterStep


class MethodCallback(AfterStep):
    """What `TrainingMethodCallback` does, for a method that may be made after the callback, and after its state."""

    def __init__(self, method: TrainingMethod | None) -> None:
        super().__init__()
        self.method = method
        self._state: dict[str, Any] = {}

    def begin(self, method: TrainingMethod) -> None:
        """Use a method from now on, in the state that was loaded.

        Args:
            method: Made for the model that is trained.
        """
        self.method = method
        if self._state:
            method.load_state_dict(self._state)

    @override
    def after_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.method is not None:
            _log(trainer, self.method.step())

    @override
    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn is TrainerFn.FITTING and not trainer.sanity_checking:
            self._settle(trainer)

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Before checkpoints are written: Lightning calls what writes them last.
        self._settle(trainer)

    @override
    def state_dict(self) -> dict[str, Any]:
        return self._state if self.method is None else self.method.state_dict()

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._state = dict(state_dict)
        if self.method is not None:
            self.method.load_state_dict(state_dict)

    def _settle(self, trainer: pl.Trainer) -> None:
        if isinstance(self.method, SpectralClipper) and self.method.holds and not self.method.settled:
            _log(trainer, self.method.clip())


class TrainingMethodCallback(MethodCallback):
    """Call `method.step()` after each step of the optimiser, and log the norms that it measures.

    Steps are counted, not batches, so gradients may be accumulated; a batch in which several optimisers step counts
    once. Norms go to every logger as `spectral_norm/<part>`. The method's state is part of each checkpoint. A
    `SpectralClipper` also clips before each validation and at the end of each epoch, so that what is validated and
    saved obeys the bound. A `penalty()` is for the task to add to its loss.

    Args:
        method: Made for the model that is trained.

    Attributes:
        method: The method.
    """

    def __init__(self, method: TrainingMethod) -> None:
        super().__init__(method)


def _log(trainer: pl.Trainer, norms: Mapping[str, float] | None) -> None:
    if norms is not None:
        for logger in trainer.loggers:
            named = {f"spectral_norm/{part}": norm for part, norm in norms.items()}
            logger.log_metrics(named, step=trainer.global_step)
