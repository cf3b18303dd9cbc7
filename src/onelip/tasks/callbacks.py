"""What happens around the steps of any task."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
from typing_extensions import override

from onelip.layers import retract_
from onelip.tasks.optimizers import is_schedule_free


class Retract(pl.Callback):
    """Move the raw parameters back onto their constraint sets after each step, function unchanged.

    Skipped for schedule-free optimisers: they average iterates, and the average of two representations of the same
    function is not that function.
    """

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not any(is_schedule_free(optimizer) for optimizer in trainer.optimizers):
            retract_(pl_module)
