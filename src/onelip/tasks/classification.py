"""Training of classifiers, with the certified accuracy along the way where a constant is to be proved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.linalg import full_precision
from onelip.tasks.certified import CertifiedCount
from onelip.tasks.optimizers import OptimizerFactory, is_schedule_free, make_optimizer
from onelip.tasks.schedules import Schedule, constant

Batch = tuple[Tensor, Tensor]


class NonFiniteLossError(ArithmeticError):
    """The loss became NaN or infinite."""

    def __init__(self, epoch: int, batch: int | None, loss: float) -> None:
        where = f"in epoch {epoch}, " + ("validation" if batch is None else f"batch {batch}")
        super().__init__(f"the loss is {loss} {where}; lower the learning rate or clip the gradient")
        self.epoch = epoch
        self.batch = batch


class Classification(pl.LightningModule):
    """Learn a classifier; measure loss, accuracy and, unless told not to, certified accuracy on the validation split.

    Fit it with a Lightning trainer. A loader with `set_epoch` is told the epoch before each pass over it.

    Args:
        model: Maps images `(B, C, H, W)` to logits `(B, n_classes)`.
        loss: Maps logits and labels `(B,)` to a scalar.
        optimizer: Makes the optimiser of the parameters.
        schedule: Maps progress in [0, 1) to the factor of the learning rate, at every step; 1 by default.
        radius: l2 radius, in units of the pixels, at which the certified accuracy is measured; None for networks whose
            constant is not to be proved, which have none.
        compile: Compile the model for training with `torch.compile`.
        penalty: Gives what the loss is increased by at each step, such as `TrainingMethod.penalty`; the losses that are
            reported are without it.

    Attributes:
        metrics: What the last epoch measured, by name; each value is a float.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[[Tensor, Tensor], Tensor],
        *,
        optimizer: OptimizerFactory,
        schedule: Schedule | None = None,
        radius: float | None = 0.25,
        compile: bool = False,
        penalty: Callable[[], Tensor | None] | None = None,
    ) -> None:
        super().__init__()
        if radius is not None and radius <= 0.0:
            raise ValueError(f"radius={radius} in Classification must be positive, or None")
        self.model = model
        self.loss = loss
        self.metrics: dict[str, float] = {}
        self._optimizer = optimizer
        self._schedule = schedule or constant()
        self._radius = radius
        self._penalty = penalty
        self._certified: CertifiedCount | None = None
        # Not an attribute that nn.Module sees: the state dict would hold every weight twice.
        self.__dict__["_train_forward"] = torch.compile(model) if compile else model
        self._train_sums = _Sums()
        self._val_sums = _Sums()

    @override
    def forward(self, images: Tensor) -> Tensor:
        return self.model(images)

    @override
    def configure_optimizers(self) -> Any:
        optimizer = make_optimizer(self._optimizer, self.model)
        if is_schedule_free(optimizer):
            return optimizer
        total = max(1, int(self.trainer.estimated_stepping_batches))
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: self._schedule(step / total))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    @override
    def on_train_epoch_start(self) -> None:
        _set_epoch(self.trainer.train_dataloader, self.current_epoch)
        self._train_sums = _Sums()

    @override
    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        images, labels = batch
        logits = self.__dict__["_train_forward"](images)
        loss = self.loss(logits, labels)
        penalty = None if self._penalty is None else self._penalty()
        total = loss if penalty is None else loss + penalty
        if not torch.isfinite(total):
            raise NonFiniteLossError(self.current_epoch, batch_idx, float(total.detach()))
        self._train_sums.add(loss.detach(), logits.detach(), labels)
        self.log("train_step_loss", loss.detach(), on_step=True, on_epoch=False)
        if penalty is not None:
            self.log("train_step_penalty", penalty.detach(), on_step=True, on_epoch=False)
        return total

    @override
    def on_validation_epoch_start(self) -> None:
        self._val_sums = _Sums()
        self._certified = None if self._radius is None else CertifiedCount(self.model, self._radius)

    @override
    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        images, labels = batch
        with full_precision():
            logits = self.model(images)
            self._val_sums.add(self.loss(logits, labels), logits, labels)
            if self._certified is not None:
                self._certified.add(images, logits, labels)

    @override
    def on_validation_epoch_end(self) -> None:
        loss, accuracy = self._val_sums.means()
        if not torch.isfinite(torch.tensor(loss)):
            raise NonFiniteLossError(self.current_epoch, None, loss)
        certified = {} if self._certified is None else {"val_certified_accuracy": self._certified.fraction()}
        self._report(val_loss=loss, val_accuracy=accuracy, **certified)

    @override
    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        if not self.trainer.is_last_batch:
            return
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


def _set_epoch(loader: Any, epoch: int) -> None:
    set_epoch = getattr(loader, "set_epoch", None)
    if callable(set_epoch):
        set_epoch(epoch)
