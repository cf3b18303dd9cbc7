"""Training of critics whose value bounds a Wasserstein distance from below."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.tasks.finite import NonFiniteLossError, all_finite, blame
from onelip.tasks.optimizers import OptimizerFactory, make_optimizer
from onelip.tasks.schedules import Schedule, constant
from onelip.transport import Sampler, center_biases_, dual_objective, sample_generator
from onelip.transport.sampler import TRAINING, draw


class WassersteinCritic(pl.LightningModule):
    """Maximise mean f(x) - mean f(y) over a critic f, with x and y drawn anew at each step.

    By Kantorovich and Rubinstein the supremum over 1-Lipschitz f is the Wasserstein-1 distance. Fit it with batches
    that are numbers of steps, such as `StepNumbers`: what a step draws depends on the seed and on its number alone. It
    begins with `onelip.transport.center_biases_` on the samples of step 0.

    Args:
        critic: `(n, *shape)` to `(n,)` or `(n, 1)`.
        sampler_p: Draws x.
        sampler_q: Draws y.
        optimizer: Makes the optimiser of the critic's parameters.
        schedule: Maps progress in [0, 1] to the factor of the learning rate, at every step; 1 by default.
        batch_size: How many x, and how many y, a step draws.
        n_steps: Steps of the whole training.
        seed: Of the samples.
        measure: Called at the end of each epoch on the critic in eval mode; what it gives goes into `metrics`.

    Attributes:
        metrics: What the last epoch measured, by name: "train_difference", the mean of the objective over its steps,
            "learning_rate", and what `measure` gave.

    Raises:
        ValueError: A size is less than 1.

    Paper:
        Anil, Lucas and Grosse 2019, arXiv:1811.05381, section 6.1.
    """

    def __init__(
        self,
        critic: nn.Module,
        sampler_p: Sampler,
        sampler_q: Sampler,
        *,
        optimizer: OptimizerFactory,
        schedule: Schedule | None = None,
        batch_size: int = 256,
        n_steps: int = 1000,
        seed: int = 0,
        measure: Callable[[nn.Module], dict[str, float]] | None = None,
    ) -> None:
        super().__init__()
        for name, value in (("batch_size", batch_size), ("n_steps", n_steps)):
            if value < 1:
                raise ValueError(f"{name}={value} in WassersteinCritic must be at least 1")
        self.critic = critic
        self.metrics: dict[str, float] = {}
        self._samplers = sampler_p, sampler_q
        self._optimizer, self._schedule = optimizer, schedule or constant()
        self._batch_size, self._n_steps, self._seed = batch_size, n_steps, seed
        self._measure = measure
        self._sum, self._n = torch.zeros((), dtype=torch.float64), 0

    @override
    def forward(self, x: Tensor) -> Tensor:
        return self.critic(x)

    @override
    def configure_optimizers(self) -> Any:
        optimizer = make_optimizer(self._optimizer, self.critic)
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: self._schedule(min(step / self._n_steps, 1.0))
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    @override
    def on_train_start(self) -> None:
        if self.trainer.global_step == 0:
            center_biases_(self.critic, torch.cat(self._drawn(0)))

    def _drawn(self, step: int) -> list[Tensor]:
        generator = sample_generator(self._seed, TRAINING, step)
        parameter = next(self.critic.parameters())
        both = zip(self._samplers, ("sampler_p", "sampler_q"), strict=True)
        return [draw(sampler, self._batch_size, generator, name).to(parameter) for sampler, name in both]

    @override
    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        loss = -dual_objective(self.critic, *self._drawn(int(batch)))
        if not torch.isfinite(loss):
            raise NonFiniteLossError(self.current_epoch, batch_idx, float(loss.detach()))
        self._sum, self._n = self._sum - loss.detach().cpu().double(), self._n + 1
        self.log("train_step_difference", -loss.detach())
        return loss

    @override
    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        gradients = [p.grad for p in self.critic.parameters() if p.grad is not None]
        self._check_finite(gradients)

    def _check_finite(self, tensors: list[Tensor]) -> None:
        if not all_finite([tensor.detach() for tensor in tensors]):
            raise blame(self.critic, self.current_epoch, int(self.trainer.fit_loop.epoch_loop.batch_idx))

    @override
    def on_train_epoch_end(self) -> None:
        self._check_finite(list(self.critic.parameters()))
        rate = float(self.trainer.optimizers[0].param_groups[0]["lr"])
        self.metrics = {"train_difference": float(self._sum) / max(self._n, 1), "learning_rate": rate}
        self._sum, self._n = torch.zeros((), dtype=torch.float64), 0
        if self._measure is not None:
            self.critic.eval()
            self.metrics |= self._measure(self.critic)
            self.critic.train()
        self.log_dict(self.metrics, on_step=False, on_epoch=True)
