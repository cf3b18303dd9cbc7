"""Projections of weights in the course of a training, and at its end."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Literal

import lightning.pytorch as pl
from lightning.pytorch.trainer.states import TrainerFn
from torch import nn
from typing_extensions import override

from onelip.layers import ConstrainedModule, SVCMConv2d
from onelip.tasks.callbacks import AfterStep
from onelip.tasks.optimizers import is_schedule_free
from onelip.tasks.weight_projections import WeightProjection, check_projection, ordinary_layers, project_layer_


class _Projecting(AfterStep):
    """Base of callbacks that project some layers at times, and all of them after the last step."""

    def __init__(self) -> None:
        super().__init__()
        self._complete_at = -1

    @abstractmethod
    def project(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Project all layers."""

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        if trainer.is_last_batch and _is_last(trainer):
            self.complete(trainer, pl_module)

    @override
    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Here, too: what stops a training early may only say so after the batch.
        if trainer.state.fn is TrainerFn.FITTING and not trainer.sanity_checking and _is_last(trainer):
            self.complete(trainer, pl_module)

    @override
    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.complete(trainer, pl_module)

    def complete(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Project all layers, unless that has been done since the last step.

        Args:
            trainer: The trainer.
            pl_module: What is trained.
        """
        if self._complete_at != trainer.global_step:
            self._complete_at = trainer.global_step
            self.project(trainer, pl_module)


class Projection(_Projecting):
    """Train ordinary layers, and project their weights after steps of the optimiser or before epochs.

    The dense layers and convolutions of torch take part, however deep in the network; normalisation layers, layers of
    this library and parametrised ones do not. Of "svcm", those are the layers `SVCMConv2d`, projected by their own
    `project_`. After the last step all are projected, before the weights are validated and saved. Weights that a
    validation before that keeps are as the training left them.

    Args:
        kind: See `project_weight`, or "svcm".
        every: "step" or "epoch".
        n: Project after each n-th step, or at the begin of each n-th epoch, from the (n + 1)-st on.
        iterations: Of Bjorck's iteration ("l2") or steps ("parseval"); steps at most for "svcm".
        beta: Length of the steps of "parseval".
        max_norm: Norm to project to; 1 for "svcm".
        reset_optimizer: Forget the optimiser's state of the weights that were projected?

    Raises:
        ValueError: An argument is out of range or not of this kind; at the begin of a training, if the network has no
            such layer or the optimiser is schedule-free, whose averages it would not reach.

    Paper: Anil, Lucas and Grosse 2019, arXiv:1811.05381; Cisse et al. 2017, arXiv:1704.08847 ("parseval"); Sedghi,
    Gupta and Long 2019, arXiv:1805.10408 ("svcm").
    """

    def __init__(
        self,
        kind: WeightProjection | Literal["svcm"],
        *,
        every: Literal["step", "epoch"] = "step",
        n: int = 1,
        iterations: int | None = None,
        beta: float | None = None,
        max_norm: float = 1.0,
        reset_optimizer: bool = False,
    ) -> None:
        super().__init__()
        if every not in ("step", "epoch"):
            raise ValueError(f"every={every!r} in Projection must be 'step' or 'epoch'")
        if type(n) is not int or n < 1:
            raise ValueError(f"n={n!r} in Projection must be an integer >= 1")
        if kind == "svcm":
            _check_svcm(iterations, beta, max_norm)
            options: dict[str, Any] = {} if iterations is None else {"max_steps": iterations}
        else:
            check_projection("Projection", kind, max_norm=max_norm, iterations=iterations, beta=beta)
            options = {"max_norm": max_norm, "iterations": iterations, "beta": beta}
        self.kind, self.every, self.n = kind, every, n
        self.reset_optimizer = reset_optimizer
        self._options = options

    def layers(self, model: nn.Module) -> dict[str, Any]:
        """Find the layers that are projected.

        Args:
            model: The network.

        Returns:
            Them by name.

        Raises:
            ValueError: There is none.
        """
        if self.kind == "svcm":
            found: dict[str, Any] = {name: m for name, m in model.named_modules() if isinstance(m, SVCMConv2d)}
        else:
            found = ordinary_layers(model)
        if not found:
            wanted = "layers of layer='svcm'" if self.kind == "svcm" else "ordinary layers (layer='plain')"
            raise ValueError(f"projection.kind={self.kind} projects {wanted}, and this network has none")
        return found

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self.layers(pl_module)
        if any(is_schedule_free(optimizer) for optimizer in trainer.optimizers):
            raise ValueError("projections do not reach the averages of a schedule-free optimiser; use another one")

    @override
    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.every == "epoch" and trainer.current_epoch > 0 and trainer.current_epoch % self.n == 0:
            self.project(trainer, pl_module)

    @override
    def after_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.every == "step" and trainer.global_step % self.n == 0:
            self.complete(trainer, pl_module)

    @override
    def project(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for layer in self.layers(pl_module).values():
            if isinstance(layer, SVCMConv2d):
                layer.project_(**self._options)
            else:
                project_layer_(layer, self.kind, **self._options)  # type: ignore[arg-type]  # "svcm" has no such layer
            if self.reset_optimizer:
                for optimizer in trainer.optimizers:
                    for parameter in layer.parameters(recurse=False):
                        optimizer.state.pop(parameter, None)


class OwnProjections(_Projecting):
    """Call `project_` of the layers whose method has a projection of its own, as often as it says.

    That is after each `projection_period`-th step of the optimiser, and after the last one, before the weights are
    validated and saved. Skipped for schedule-free optimisers, whose averages it would not reach; the layers are as
    short without.

    Args:
        except_svcm: Leave the layers of SVCM to a `Projection` that is about them.
    """

    def __init__(self, *, except_svcm: bool = False) -> None:
        super().__init__()
        self._except_svcm = except_svcm

    @override
    def after_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for layer in self._layers(trainer, pl_module):
            if trainer.global_step % layer.projection_period == 0:
                layer.project_()

    @override
    def project(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for layer in self._layers(trainer, pl_module):
            if trainer.global_step % layer.projection_period != 0:
                layer.project_()

    def _layers(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> list[ConstrainedModule]:
        if any(is_schedule_free(optimizer) for optimizer in trainer.optimizers):
            return []
        return [
            module
            for module in pl_module.modules()
            if isinstance(module, ConstrainedModule)
            and module.projection_period > 0
            and not (self._except_svcm and isinstance(module, SVCMConv2d))
        ]


# Is this the last epoch, as far as can be known now?
def _is_last(trainer: pl.Trainer) -> bool:
    in_steps = 0 <= trainer.max_steps <= trainer.global_step
    return trainer.should_stop or in_steps or trainer.current_epoch + 1 == trainer.max_epochs


def _check_svcm(iterations: int | None, beta: float | None, max_norm: float) -> None:
    if iterations is not None and (type(iterations) is not int or iterations < 1):
        raise ValueError(f"iterations={iterations!r} in Projection must be an integer >= 1")
    if beta is not None:
        raise ValueError(f"beta={beta!r} in Projection has no effect on kind='svcm'; leave it out")
    if max_norm != 1.0:
        raise ValueError(f"max_norm={max_norm!r} in Projection must be 1 for kind='svcm'")
