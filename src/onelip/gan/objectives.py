"""What a critic is trained for and how it is kept from growing: the kinds of Wasserstein GANs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from onelip.gan.gradients import gradient_penalty, interpolates


def critic_difference(critic: nn.Module, real: Tensor, generated: Tensor) -> Tensor:
    """Compute mean f(real) - mean f(generated), which for a 1-Lipschitz f is at most the Wasserstein-1 distance.

    Args:
        critic: f, maps `(B, ...)` to `(B,)` or `(B, 1)`.
        real: `(B, ...)`.
        generated: `(B', ...)`.

    Returns:
        A scalar.
    """
    # In one pass, in which weights under constraints are computed once.
    outputs = critic(torch.cat([real, generated]))
    return outputs[: len(real)].mean() - outputs[len(real) :].mean()


class CriticObjective(Protocol):
    """How a critic is trained; its constant is that of the layers, a penalty's, or what clipping leaves of it."""

    def penalty(self, critic: nn.Module, real: Tensor, generated: Tensor, generator: torch.Generator) -> Tensor | None:
        """Compute what the critic's loss has beside the difference; None for nothing."""

    def after_step_(self, critic: nn.Module) -> None:
        """Change the critic after each step of its optimiser."""


@dataclass(frozen=True)
class LipschitzObjective:
    """A critic whose layers are 1-Lipschitz: the difference alone, which is a true lower bound of the distance.

    Paper:
        Anil, Lucas and Grosse 2019, arXiv:1811.05381, section 5.2.
    """

    def penalty(self, critic: nn.Module, real: Tensor, generated: Tensor, generator: torch.Generator) -> Tensor | None:
        """Add nothing.

        Args:
            critic: Not used.
            real: Not used.
            generated: Not used.
            generator: Not used.

        Returns:
            None.
        """
        return None

    def after_step_(self, critic: nn.Module) -> None:
        """Change nothing.

        Args:
            critic: Left as it is.
        """


@dataclass(frozen=True)
class ClippedObjective:
    """WGAN: every weight and bias of the critic is clipped to [-clip, clip] after each step.

    Attributes:
        clip: The largest absolute value.

    Raises:
        ValueError: It is not positive.

    Paper:
        Arjovsky, Chintala and Bottou 2017, arXiv:1701.07875, algorithm 1.
    """

    clip: float = 0.01

    def __post_init__(self) -> None:
        if not 0 < self.clip < math.inf:
            raise ValueError(f"clip={self.clip} in ClippedObjective must be positive")

    def penalty(self, critic: nn.Module, real: Tensor, generated: Tensor, generator: torch.Generator) -> Tensor | None:
        """Add nothing.

        Args:
            critic: Not used.
            real: Not used.
            generated: Not used.
            generator: Not used.

        Returns:
            None.
        """
        return None

    @torch.no_grad()
    def after_step_(self, critic: nn.Module) -> None:
        """Clip the parameters.

        Args:
            critic: Changed in place.
        """
        for parameter in critic.parameters():
            parameter.clamp_(-self.clip, self.clip)


@dataclass(frozen=True)
class PenaltyObjective:
    """WGAN-GP: lambda times the gradient penalty at one point between each real image and a generated one.

    Attributes:
        weight: lambda.

    Raises:
        ValueError: It is negative or infinite.

    Paper:
        Gulrajani, Ahmed, Arjovsky, Dumoulin and Courville 2017, arXiv:1704.00028, algorithm 1.
    """

    weight: float = 10.0

    def __post_init__(self) -> None:
        if not 0 <= self.weight < math.inf:
            raise ValueError(f"weight={self.weight} in PenaltyObjective must be at least 0")

    def penalty(self, critic: nn.Module, real: Tensor, generated: Tensor, generator: torch.Generator) -> Tensor | None:
        """Compute the penalty.

        Args:
            critic: Maps `(B, ...)` to `(B,)` or `(B, 1)`, without batch normalisation.
            real: `(B, ...)`.
            generated: `(B, ...)`.
            generator: Source of the positions between them.

        Returns:
            A scalar.
        """
        return self.weight * gradient_penalty(critic, interpolates(real, generated, generator))

    def after_step_(self, critic: nn.Module) -> None:
        """Change nothing.

        Args:
            critic: Left as it is.
        """
