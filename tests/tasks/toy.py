"""A toy problem that a linear classifier learns in a few steps."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Checkpoint
from torch import nn


class ToyBatches:
    """Points in two dimensions, labelled by the sign of the first coordinate; the order depends on the epoch."""

    def __init__(self, n: int = 64, batch_size: int = 16) -> None:
        generator = torch.Generator().manual_seed(0)
        self.x = torch.randn(n, 2, generator=generator)
        self.y = (self.x[:, 0] > 0).long()
        self.batch_size = batch_size
        self.epoch = 0
        self.epochs_seen: list[int] = []

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.y) // self.batch_size

    def __iter__(self):
        self.epochs_seen.append(self.epoch)
        order = torch.randperm(len(self.y), generator=torch.Generator().manual_seed(self.epoch))
        for chosen in order.split(self.batch_size):
            yield self.x[chosen], self.y[chosen]


def linear_model() -> nn.Module:
    """The same weights each time."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 2))


def toy_trainer(
    folder: Path, max_epochs: int, *callbacks: pl.Callback, accumulate: int = 1, **options: Any
) -> pl.Trainer:
    """A trainer that is silent and writes nothing by itself."""
    return pl.Trainer(
        max_epochs=max_epochs, accumulate_grad_batches=accumulate, accelerator="cpu", devices=1,
        callbacks=list(callbacks), logger=False, enable_progress_bar=False, enable_model_summary=False,
        num_sanity_val_steps=0, enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in callbacks),
        default_root_dir=folder, **options,
    )  # fmt: skip
