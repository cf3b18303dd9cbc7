"""Training of tasks that draw their own samples at each step, in a run folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from typing_extensions import override

from onelip.experiments.checkpoints import read_checkpoint
from onelip.experiments.config_common import SampledConfig
from onelip.experiments.determinism import determinism_kept
from onelip.experiments.interruption import Interruption
from onelip.experiments.recorder import Recorder
from onelip.experiments.run_folder import RunFolder
from onelip.experiments.training import PRECISIONS, device_of, quiet_lightning, signals_as_errors
from onelip.experiments.training_progress import TrainingProgress
from onelip.tasks import Retract, StepNumbers, TrainingClock


def train_on_samples(
    task: pl.LightningModule,
    config: SampledConfig,
    folder: RunFolder,
    *,
    columns: Sequence[str],
    callbacks: Sequence[pl.Callback] = (),
    batch: Callable[[int], Any] = torch.tensor,
) -> None:
    """Train, or go on after the last checkpoint in the folder, to the same numbers.

    Args:
        task: Its batches are numbers of steps, from 0 on, from which it draws its samples. What its `metrics` hold at
            the end of an epoch, which is `validate_every` steps, becomes a row.
        config: How long, and on what.
        folder: Where metrics and checkpoints go.
        columns: Of `metrics.csv`: those of the task, behind "epoch"; "seconds" and "minutes" are appended.
        callbacks: More of them, called before the epoch is recorded; those that are checkpoints after it.
        batch: Makes the batch of a step from its number, for tasks that do not draw all of it themselves.

    Raises:
        StoppedError: If a signal stopped it; the folder can be resumed.
        NonFiniteError: If a number became NaN or infinite.
    """
    section = config.trainer
    clock = TrainingClock()
    checkpoint = folder.last_checkpoint if folder.last_checkpoint.exists() else None
    step = 0
    n_in_epoch = min(section.validate_every, section.max_steps)
    steps = StepNumbers(section.max_steps, n_in_epoch, batch)
    if checkpoint is not None:
        saved = read_checkpoint(checkpoint)
        step = saved["global_step"]
        # Lightning begins the pass over them before it says that the epoch starts.
        steps.set_epoch(saved["epoch"] + 1)
    recorder = Recorder(folder, "last", clock, columns=("epoch", *columns, "seconds", "minutes"))
    torch.manual_seed(config.seed)
    with quiet_lightning(), determinism_kept():
        interruption = Interruption()
        trainer = pl.Trainer(
            max_epochs=steps.n_epochs,
            accelerator=section.accelerator,
            devices=1,
            precision=PRECISIONS[section.precision],
            # Tasks with two optimisers clip by themselves.
            gradient_clip_val=section.gradient_clip if task.automatic_optimization else None,
            log_every_n_steps=min(section.log_every, n_in_epoch),
            deterministic=True if device_of(section.accelerator) == "cpu" else "warn",
            callbacks=[
                interruption,
                _TellEpoch(),
                Retract(),
                TrainingProgress(clock, "part"),
                clock,
                # Lightning calls checkpoints after all others, in this order.
                recorder,
                *callbacks,
            ],
            logger=TensorBoardLogger(save_dir=folder.tensorboard, name="", version="", purge_step=step or None),
            default_root_dir=folder.path,
            num_sanity_val_steps=0,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        with signals_as_errors(), interruption.listening():
            trainer.fit(task, steps, ckpt_path=None if checkpoint is None else str(checkpoint), weights_only=True)


class _TellEpoch(pl.Callback):
    @override
    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        loader = trainer.train_dataloader
        if isinstance(loader, StepNumbers):
            loader.set_epoch(trainer.current_epoch)
