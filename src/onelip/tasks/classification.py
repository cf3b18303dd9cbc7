"""Training of classifiers, with the certified accuracy along the way where a constant is to be proved."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.bounds import training_constants
from onelip.bounds.registry import Norm
from onelip.data.share import Piece
from onelip.layers import MirrorAverage
from onelip.linalg import full_precision
from onelip.tasks.certified import CertifiedCount
from onelip.tasks.clock import TrainingClock
from onelip.tasks.finite import NonFiniteLossError, all_finite, blame
from onelip.tasks.objective import Objective, ordinary, tell
from onelip.tasks.optimizers import OptimizerFactory, is_schedule_free, make_optimizer
from onelip.tasks.schedules import Schedule, constant
from onelip.tasks.whole_batch import piece_of, whole

Batch = tuple[Tensor, Tensor]


class Classification(pl.LightningModule):
    """Learn a classifier; measure loss, accuracy and, unless told not to, certified accuracy on the validation split.

    Fit it with a Lightning trainer. A loader with `set_epoch` is told the epoch before each pass over it. Gradients
    that are accumulated are those of all their samples as one batch, also in a last group that is not full. A loss with
    `set_progress` is told the part of the training that is done, in [0, 1], before each step; one with
    `uses_constants = True` is given the estimates of `onelip.bounds.training_constants`. A training stops where the
    loss, a gradient or a parameter is not finite, before the optimiser steps or a checkpoint is written. A validation
    of no images measures nothing. Loaders with `piece`, as `onelip.data.Batches` with a `share`, divide batches among
    processes: losses and metrics are those of whole batches then, the same in all processes.

    Args:
        model: Maps images `(B, C, H, W)` to logits `(B, n_classes)`.
        loss: Maps logits and labels `(B,)` to a scalar.
        optimizer: Makes the optimiser of the parameters.
        schedule: Maps progress in [0, 1] to the factor of the learning rate, at every step; 1 by default.
        radius: Radius, in units of the pixels, at which the certified accuracy is measured; None for networks whose
            constant is not to be proved, which have none.
        norm: Of that radius, "l2" or "linf".
        compile: Compile the model for training with `torch.compile`.
        penalty: Gives what the loss is increased by at each step, such as `TrainingMethod.penalty`; the losses that are
            reported are without it.
        clock: A callback of the trainer. If it has a limit, progress is the part of the time that is over, else of the
            steps.
        mirror_average: Validate the average over each image and its mirror image; what is trained is without it.
        channels_last: Train on images with the channels last in memory.
        objective: Maps (model, images, labels, loss) to what is minimised and the logits that the training accuracy is
            counted with, such as `PGDTraining`; by default the loss of the images. The training losses that are
            reported are those that it gives. It is never used in validation.

    Attributes:
        metrics: What the last epoch measured, by name; each value is a float.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[..., Tensor],
        *,
        optimizer: OptimizerFactory,
        schedule: Schedule | None = None,
        radius: float | None = 0.25,
        norm: Norm = "l2",
        compile: bool = False,
        penalty: Callable[[], Tensor | None] | None = None,
        clock: TrainingClock | None = None,
        mirror_average: bool = False,
        channels_last: bool = False,
        objective: Objective | None = None,
    ) -> None:
        super().__init__()
        if compile and objective is not None:
            raise ValueError("compile=True in Classification does not go with an objective; leave one of them out")
        if radius is not None and radius <= 0.0:
            raise ValueError(f"radius={radius} in Classification must be positive, or None")
        self.model = model
        self.loss = loss
        self.metrics: dict[str, float] = {}
        self._optimizer = optimizer
        self._schedule = schedule or constant()
        self._radius, self._norm = radius, norm
        self._penalty = penalty
        self._objective = objective or ordinary
        self._clock = clock
        self._memory_format = torch.channels_last if channels_last else torch.preserve_format
        self._certified: CertifiedCount | None = None
        # Not an attribute that nn.Module sees: the state dict would hold every weight twice.
        self.__dict__["_train_forward"] = torch.compile(model) if compile else model
        self._mirror_average = mirror_average
        self._n_steps = 1
        self._constants: Tensor | None = None
        self._group = _Group()
        self._train_sums = _Sums()
        self._val_sums = _Sums()

    @override
    def forward(self, images: Tensor) -> Tensor:
        return self.model(images)

    @property
    def progress(self) -> float:
        """The part of the training that is done, in [0, 1]."""
        by_time = None if self._clock is None else self._clock.progress
        return min(self.trainer.global_step / self._n_steps, 1.0) if by_time is None else by_time

    @override
    def configure_optimizers(self) -> Any:
        timed = self._clock is not None and self._clock.max_minutes is not None
        if not timed:
            self._n_steps = max(1, int(self.trainer.estimated_stepping_batches))
        optimizer = make_optimizer(self._optimizer, self.model)
        if is_schedule_free(optimizer):
            return optimizer
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: self._schedule(self.progress if timed else step / self._n_steps)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    @override
    def on_train_epoch_start(self) -> None:
        _set_epoch(self.trainer.train_dataloader, self.current_epoch)
        self._train_sums = _Sums()
        self._group = _Group()
        self.metrics.clear()

    @override
    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        images, labels = batch
        self._tell_progress()
        piece = piece_of(self.trainer.train_dataloader, batch_idx)
        tell(self._objective, self.progress, self.current_epoch, batch_idx, piece)
        images = images.to(memory_format=self._memory_format)
        of_all = partial(self._training_loss, piece=piece)
        loss, logits = self._objective(self.__dict__["_train_forward"], images, labels, of_all)
        logits, labels = whole(logits.detach(), piece), whole(labels, piece)
        penalty = None if self._penalty is None else self._penalty()
        total = loss if penalty is None else loss + penalty
        if not torch.isfinite(total):
            raise NonFiniteLossError(self.current_epoch, batch_idx, float(total.detach()))
        self._train_sums.add(loss.detach(), logits, labels)
        self.log("train_step_loss", loss.detach(), on_step=True, on_epoch=False)
        if penalty is not None:
            self.log("train_step_penalty", penalty.detach(), on_step=True, on_epoch=False)
        return total * self._group.weight(len(labels))

    # The loss of the images of all processes, from the logits of this one's.
    def _training_loss(self, logits: Tensor, labels: Tensor, piece: Piece | None) -> Tensor:
        logits, labels = whole(logits, piece), whole(labels, piece)
        return self._loss_of(logits, labels, self._training_constants(logits))

    def _tell_progress(self) -> None:
        set_progress = getattr(self.loss, "set_progress", None)
        if callable(set_progress):
            set_progress(self.progress)

    def _training_constants(self, logits: Tensor) -> Tensor | None:
        if not getattr(self.loss, "uses_constants", False):
            return None
        with full_precision():
            return training_constants(self.model, logits.shape[1])

    def _loss_of(self, logits: Tensor, labels: Tensor, constants: Tensor | None) -> Tensor:
        # Of bfloat16 logits, too, the loss is float32's.
        with full_precision():
            wide = logits if logits.dtype == torch.float64 else logits.float()
            return self.loss(wide, labels) if constants is None else self.loss(wide, labels, constants=constants)

    @override
    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        gradients = [p.grad for p in parameters if p.grad is not None]
        # Lightning has divided by the number of batches of a full group.
        factor = self._group.factor(self.trainer.accumulate_grad_batches)
        if factor != 1.0:
            for gradient in gradients:
                gradient.mul_(factor)
        self._group = _Group()
        self._check_finite([*parameters, *gradients])

    def _check_finite(self, tensors: list[Tensor]) -> None:
        if not all_finite([tensor.detach() for tensor in tensors]):
            batch = int(self.trainer.fit_loop.epoch_loop.batch_idx)
            raise blame(self.model, self.current_epoch, batch)

    @override
    def on_validation_epoch_start(self) -> None:
        self._val_sums = _Sums()
        self._constants = None
        self._tell_progress()
        # It shares the network's modules, which may be put in place anew.
        self.__dict__["_evaluated"] = MirrorAverage(self.model) if self._mirror_average else self.model
        self._certified = None if self._radius is None else CertifiedCount(self.model, self._radius, self._norm)

    @override
    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        images, labels = batch
        if len(labels) == 0:
            return
        with full_precision():
            piece = piece_of(self.trainer.val_dataloaders, batch_idx)
            logits, labels = whole(self.__dict__["_evaluated"](images), piece), whole(labels, piece)
            if batch_idx == 0:
                # Not earlier, since callbacks may put other weights in place for the validation.
                self._constants = self._training_constants(logits)
            self._val_sums.add(self._loss_of(logits, labels, self._constants), logits, labels)
            if self._certified is not None:
                self._certified.add(images, logits, labels)

    @override
    def on_validation_epoch_end(self) -> None:
        if self._val_sums.n == 0:
            return
        loss, accuracy = self._val_sums.means()
        if not torch.isfinite(torch.tensor(loss)):
            raise NonFiniteLossError(self.current_epoch, None, loss)
        certified = {} if self._certified is None else {"val_certified_accuracy": self._certified.fraction()}
        self._report(val_loss=loss, val_accuracy=accuracy, **certified)

    @override
    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        if not self.trainer.is_last_batch and not self.trainer.should_stop:
            return
        # Before a checkpoint is written.
        self._check_finite(list(self.model.parameters()))
        loss, accuracy = self._train_sums.means()
        rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        self._report(train_loss=loss, train_accuracy=accuracy, learning_rate=float(rate))

    @override
    def on_train_start(self) -> None:
        self._switch_schedule_free("train")

    @override
    def on_train_end(self) -> None:
        self._switch_schedule_free("eval")

    @override
    def on_validation_model_eval(self) -> None:
        super().on_validation_model_eval()
        self._switch_schedule_free("eval")

    @override
    def on_validation_model_train(self) -> None:
        super().on_validation_model_train()
        self._switch_schedule_free("train")

    def _switch_schedule_free(self, mode: str) -> None:
        for optimizer in self.trainer.optimizers:
            if is_schedule_free(optimizer):
                getattr(optimizer, mode)()

    def _report(self, **values: float) -> None:
        self.metrics.update(values)
        self.log_dict(values, on_step=False, on_epoch=True)


class _Sums:
    """Sums of the loss and of correct predictions, kept on the device until they are read."""

    def __init__(self) -> None:
        self.n = 0
        self.loss: Tensor | float = 0.0
        self.correct: Tensor | int = 0

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        self.n += len(labels)
        self.loss = self.loss + loss.detach().double() * len(labels)
        self.correct = self.correct + (logits.argmax(dim=1) == labels).sum()

    def means(self) -> tuple[float, float]:
        return float(self.loss) / self.n, int(self.correct) / self.n


class _Group:
    """The batches whose gradients one step takes together: each counts as much as it has samples."""

    def __init__(self) -> None:
        self._n_first = 0
        self._n = 0

    # Takes a batch of n samples in, and says what its mean loss is multiplied by.
    def weight(self, n: int) -> float:
        self._n_first = self._n_first or n
        self._n += n
        return n / self._n_first

    # What turns the sum of the weighted gradients, divided by a number of batches, into the mean over the samples.
    def factor(self, n_batches: int) -> float:
        return n_batches * self._n_first / self._n


def _set_epoch(loader: Any, epoch: int) -> None:
    set_epoch = getattr(loader, "set_epoch", None)
    if callable(set_epoch):
        set_epoch(epoch)
