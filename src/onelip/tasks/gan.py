"""Training of a generator against a critic that measures a Wasserstein distance."""

from __future__ import annotations

import copy
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.gan import (
    CriticObjective,
    GeneratorSampler,
    Latent,
    LipschitzObjective,
    critic_difference,
    settle_batch_norm_,
)
from onelip.tasks.finite import all_finite, blame
from onelip.tasks.optimizers import OptimizerFactory, adam, make_optimizer
from onelip.transport import sample_generator

# Independent streams of random numbers: latents of either step, positions between images.
_FOR_CRITIC, _FOR_GENERATOR, _BETWEEN = 1, 2, 3


class GAN(pl.LightningModule):
    """Learn to generate images: a critic learns to tell them from real ones, and the generator to move its mean output.

    Fit it with a Lightning trainer, which has the callback `Retract` where the critic's layers are constrained, and a
    loader of images `(B, C, H, W)` in [0, 1], or of pairs with labels, which are not used; at least two images to a
    batch. A loader with `set_epoch` is told the epoch before each pass. On each batch the critic takes a step up
    mean f(real) - mean f(generated), less the objective's penalty; after every `critic_steps` of them the generator
    takes one up mean f(generated). Random numbers depend on (seed, step) alone, so a training that goes on from a
    checkpoint takes the steps that it would have taken. It stops where a parameter is not finite.

    The average of the generator's weights along the training, with statistics of batch normalisation that are measured
    for it, is what `sampler` draws from.

    Args:
        generator: Maps `(B, latent.size)` to images, as `onelip.gan.build_generator` makes them.
        critic: Maps images to `(B, 1)`, as `onelip.models.build` makes them with one class; without batch
            normalisation.
        latent: Draws what images are made of.
        objective: Keeps the critic from growing: by its layers, by clipping, or by a penalty.
        critic_optimizer: Makes the optimiser of the critic; Adam with rate 2e-3 and betas 0.5, 0.999 by default.
        generator_optimizer: Makes that of the generator; likewise, with rate 2e-4.
        critic_steps: Steps of the critic for each of the generator.
        average: Weight of the past in the generator's average, at least 0 and below 1, smaller in the first steps; 0
            for the generator as it is.
        gradient_clip: Largest l2 norm of the gradient of all weights of either network; None for any.
        n_statistics: Images that statistics of batch normalisation are measured with for `sampler`.
        seed: Of all latent numbers.

    Attributes:
        metrics: Means over the last epoch, by name: `critic_loss`, `difference`, `penalty`, and `generator_loss`.

    Raises:
        ValueError: An argument is out of range.
    """

    steps_taken: Tensor

    def __init__(
        self,
        generator: nn.Module,
        critic: nn.Module,
        *,
        latent: Latent | None = None,
        objective: CriticObjective | None = None,
        critic_optimizer: OptimizerFactory | None = None,
        generator_optimizer: OptimizerFactory | None = None,
        critic_steps: int = 5,
        average: float = 0.999,
        gradient_clip: float | None = None,
        n_statistics: int = 4096,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not isinstance(critic_steps, int) or critic_steps < 1:
            raise ValueError(f"critic_steps={critic_steps!r} in GAN must be an integer >= 1")
        if not 0.0 <= average < 1.0:
            raise ValueError(f"average={average!r} in GAN must be at least 0 and below 1")
        if gradient_clip is not None and gradient_clip <= 0:
            raise ValueError(f"gradient_clip={gradient_clip!r} in GAN must be positive, or None")
        if n_statistics < 2:
            raise ValueError(f"n_statistics={n_statistics!r} in GAN must be at least 2")
        if seed < 0:
            raise ValueError(f"seed={seed} in GAN must be at least 0")
        self.automatic_optimization = False
        self.generator, self.critic = generator, critic
        self.averaged = copy.deepcopy(generator).requires_grad_(False)
        self.latent = latent or Latent()
        self.objective = objective or LipschitzObjective()
        self.critic_steps, self.seed, self.n_statistics = critic_steps, seed, n_statistics
        self.metrics: dict[str, float] = {}
        self._average, self._gradient_clip = average, gradient_clip
        self._optimizers = (
            critic_optimizer or adam(lr=2e-3, betas=(0.5, 0.999)),
            generator_optimizer or adam(lr=2e-4, betas=(0.5, 0.999)),
        )
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        # In the state dict, so that a resumed training draws the numbers that come next.
        self.register_buffer("steps_taken", torch.zeros((), dtype=torch.int64))

    @override
    def forward(self, latent: Tensor) -> Tensor:
        return self.generator(latent)

    @property
    def generator_steps(self) -> int:
        """Steps that the generator has taken."""
        return int(self.steps_taken) // self.critic_steps

    def sampler(self) -> GeneratorSampler:
        """Take the distribution that was learned so far.

        Returns:
            The averaged generator's images, in eval mode; further training does not change it.
        """
        generator = copy.deepcopy(self.averaged)
        settle_batch_norm_(generator, self.latent, n=self.n_statistics, seed=self.seed)
        return GeneratorSampler(generator, self.latent)

    @override
    def configure_optimizers(self) -> Any:
        critic, generator = self._optimizers
        return [make_optimizer(critic, self.critic), make_optimizer(generator, self.generator)]

    @override
    def on_train_epoch_start(self) -> None:
        # Whatever was done with them before.
        self.generator.train()
        self.critic.train()
        set_epoch = getattr(self.trainer.train_dataloader, "set_epoch", None)
        if callable(set_epoch):
            set_epoch(self.current_epoch)
        self._sums, self._counts = {}, {}
        self.metrics.clear()

    @override
    def training_step(self, batch: Any, batch_idx: int) -> None:
        real = batch if isinstance(batch, Tensor) else batch[0]
        step = int(self.steps_taken)
        optimizers: Any = self.optimizers()
        critic_optimizer, generator_optimizer = optimizers
        self._critic_step(critic_optimizer, real, step)
        if (step + 1) % self.critic_steps == 0:
            self._generator_step(generator_optimizer, real, step)
            if not all_finite([*self.generator.parameters(), *self.critic.parameters()]):
                raise blame(self, self.current_epoch, batch_idx)
        self.steps_taken += 1

    def _critic_step(self, optimizer: Any, real: Tensor, step: int) -> None:
        with torch.no_grad():
            generated = self.generator(self._draw(_FOR_CRITIC, step, real))
        difference = critic_difference(self.critic, real, generated)
        penalty = self.objective.penalty(self.critic, real, generated, sample_generator(self.seed, _BETWEEN, step))
        loss = -difference if penalty is None else penalty - difference
        self._step(optimizer, loss, self.critic)
        self.objective.after_step_(self.critic)
        self._add(critic_loss=loss, difference=difference)
        if penalty is not None:
            self._add(penalty=penalty)

    def _generator_step(self, optimizer: Any, real: Tensor, step: int) -> None:
        # Without gradients of the critic's weights, those under constraints are computed once and kept.
        self.critic.requires_grad_(False)
        loss = -self.critic(self.generator(self._draw(_FOR_GENERATOR, step, real))).mean()
        self._step(optimizer, loss, self.generator)
        self.critic.requires_grad_(True)
        self._add(generator_loss=loss)
        self._update_average(step // self.critic_steps)

    def _step(self, optimizer: Any, loss: Tensor, network: nn.Module) -> None:
        optimizer.zero_grad()
        self.manual_backward(loss)
        if self._gradient_clip is not None:
            nn.utils.clip_grad_norm_(network.parameters(), self._gradient_clip)
        optimizer.step()

    def _draw(self, purpose: int, step: int, like: Tensor) -> Tensor:
        return self.latent(len(like), sample_generator(self.seed, purpose, step)).to(like)

    @torch.no_grad()
    def _update_average(self, step: int) -> None:
        # The first weights are forgotten sooner.
        decay = min(self._average, (1 + step) / (10 + step))
        for mean, parameter in zip(self.averaged.parameters(), self.generator.parameters(), strict=True):
            mean.lerp_(parameter, 1 - decay)

    def _add(self, **values: Tensor) -> None:
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0) + value.detach().double()
            self._counts[name] = self._counts.get(name, 0) + 1

    @override
    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.trainer.is_last_batch or self.trainer.should_stop:
            self.metrics.update({name: float(total) / self._counts[name] for name, total in self._sums.items()})
            self.log_dict(self.metrics, on_step=False, on_epoch=True)
