"""Penalties on the Jacobian from pixels to logits at the training images: its spectral and its Frobenius norm."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from onelip.attacks.ball import steepest
from onelip.data.share import Piece
from onelip.layers.plain import evaluating
from onelip.linalg import full_precision
from onelip.tasks.adversary import widened
from onelip.tasks.batch_generator import BatchGenerator
from onelip.tasks.objective import Objective, ordinary, tell
from onelip.tasks.whole_batch import whole

Normal: TypeAlias = Callable[[tuple[int, ...], Tensor], Tensor]
"""Draws normal numbers of a shape, of the type of a tensor."""

_PURPOSE = 0x4A
"""Tells these random numbers from others of the same seed, epoch and batch."""


def jacobian_norm_estimate(
    model: nn.Module, images: Tensor, *, iterations: int = 3, generator: torch.Generator | None = None
) -> Tensor:
    """Estimate the largest singular value of the Jacobian at each image, from below, by power iteration.

    From a random unit vector u of logits: v = J^T u / |J^T u|, u = J v / |J v|, `iterations` times, and |J^T u| at
    last. J^T u is linear in u, so its graph, built once, gives every J v by differentiation in u.

    Args:
        model: Maps images to logits of any number; runs in eval mode, and its mode is put back.
        images: `(N, ...)`.
        iterations: Steps of the power iteration, at least 1.
        generator: Source of the start, or None for torch's own.

    Returns:
        `(N,)`, differentiable with respect to the parameters, in at least float32. It is no bound.

    Raises:
        ValueError: `iterations` is not a positive integer.

    Cost: a forward pass and 2 iterations + 2 backward passes, and one of second order for the gradient.
    """
    _check_count("iterations", iterations)
    return _norms(model, images, iterations, partial(_normal, generator=generator))


def _norms(model: nn.Module, images: Tensor, iterations: int, normal: Normal) -> Tensor:
    with evaluating(model), torch.enable_grad(), full_precision():
        x = images.detach().requires_grad_()
        logits = widened(model(x))
        probe = torch.zeros_like(logits, requires_grad=True)
        (pulled,) = torch.autograd.grad(logits, x, probe, create_graph=True)
        u = steepest(normal(logits.shape, logits), "l2")
        for _ in range(iterations):
            (v,) = torch.autograd.grad(logits, x, u, retain_graph=True)
            (u,) = torch.autograd.grad(pulled, probe, steepest(v, "l2"), retain_graph=True)
            u = steepest(u, "l2")
        (v,) = torch.autograd.grad(logits, x, u, create_graph=True)
        # The norm, with a gradient that is finite at 0.
        return (v * steepest(v.detach(), "l2")).flatten(1).sum(1)


def jacobian_frobenius_sq_estimate(
    model: nn.Module, images: Tensor, *, projections: int = 1, generator: torch.Generator | None = None
) -> Tensor:
    """Estimate the squared Frobenius norm of the Jacobian at each image by random projections, without bias.

    (K / n) sum over j of |J^T u_j|^2 for n random orthonormal vectors u_j of the K logits: exact for n = K, and of
    less variance than with vectors that are drawn one by one.

    Args:
        model: Maps images to K logits; runs in eval mode, and its mode is put back.
        images: `(N, ...)`.
        projections: n, from 1 on; more than K mean K.
        generator: Source of the vectors, or None for torch's own.

    Returns:
        `(N,)`, differentiable with respect to the parameters, in at least float32.

    Raises:
        ValueError: `projections` is not a positive integer.

    Cost: a forward pass and n backward passes, and as many of second order for the gradient.
    Paper: Hoffman, Roberts and Yaida 2019, arXiv:1908.02729, equations 9 to 11.
    """
    _check_count("projections", projections)
    return _frobenius_squares(model, images, projections, partial(_normal, generator=generator))


def _frobenius_squares(model: nn.Module, images: Tensor, projections: int, normal: Normal) -> Tensor:
    with evaluating(model), torch.enable_grad(), full_precision():
        x = images.detach().requires_grad_()
        logits = widened(model(x))
        n_classes = logits.shape[1]
        n = min(projections, n_classes)
        frames = torch.linalg.qr(normal((len(logits), n_classes, n), logits)).Q
        total = torch.zeros_like(logits[:, 0])
        for j in range(n):
            (v,) = torch.autograd.grad(logits, x, frames[:, :, j], create_graph=True)
            total = total + v.square().flatten(1).sum(1)
        return total * (n_classes / n)


class JacobianPenalty:
    """Minimise another objective plus a penalty on the Jacobian from pixels to logits at the images.

    "spectral" adds weight times the mean of `jacobian_norm_estimate`, "frobenius" weight / 2 times the mean of
    `jacobian_frobenius_sq_estimate`. The Jacobian is that of the network as it evaluates, in float32 or better. An
    objective of `Classification`.

    Args:
        kind: "spectral" or "frobenius".
        weight: Positive.
        iterations: Of the power iteration, for "spectral".
        projections: Random vectors, for "frobenius".
        base: What else is minimised.
        seed: Seed of the random vectors, which are a pure function of (seed, epoch, batch) from the first `set_batch`
            on.

    Raises:
        ValueError: If an argument is out of range.

    Paper: Anil, Lucas and Grosse 2019, arXiv:1811.05381 ("spectral"); Hoffman, Roberts and Yaida 2019,
    arXiv:1908.02729 ("frobenius").
    """

    def __init__(
        self,
        kind: Literal["spectral", "frobenius"],
        weight: float,
        *,
        iterations: int = 3,
        projections: int = 1,
        base: Objective = ordinary,
        seed: int = 0,
    ) -> None:
        if kind not in ("spectral", "frobenius"):
            raise ValueError(f"kind={kind!r} in JacobianPenalty must be 'spectral' or 'frobenius'")
        if not 0 < weight < math.inf:
            raise ValueError(f"weight={weight!r} in JacobianPenalty must be positive and finite")
        _check_count("iterations", iterations)
        _check_count("projections", projections)
        self.kind, self.weight = kind, weight
        self.iterations, self.projections = iterations, projections
        self.base = base
        self._random = BatchGenerator(seed, _PURPOSE)
        self._progress = 0.0

    def set_progress(self, progress: float) -> None:
        """Tell the other objective the part of the training that is done.

        Args:
            progress: In [0, 1].
        """
        self._progress = progress

    def set_batch(self, epoch: int, batch: int, piece: Piece | None = None) -> None:
        """Say which random numbers come next, here and in the other objective.

        Args:
            epoch: Counted from 0.
            batch: Number of the batch in the epoch.
            piece: Which images of the batch this process has; None for all.
        """
        self._random.set_batch(epoch, batch, piece)
        tell(self.base, self._progress, epoch, batch, piece)

    def __call__(
        self, model: nn.Module, images: Tensor, labels: Tensor, loss: Callable[..., Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Give the other objective with the penalty.

        Args:
            model: Maps images to logits.
            images: `(N, C, H, W)`.
            labels: `(N,)`.
            loss: Maps logits and labels to a scalar.

        Returns:
            The sum, and the logits of the other objective.
        """
        total, logits = self.base(model, images, labels, loss)
        return total + self.weight * self._mean(model, images), logits

    def _mean(self, model: nn.Module, images: Tensor) -> Tensor:
        normal, piece = self._random.normal, self._random.piece
        if self.kind == "spectral":
            return whole(_norms(model, images, self.iterations, normal), piece).mean()
        return whole(_frobenius_squares(model, images, self.projections, normal), piece).mean() / 2


def _normal(shape: tuple[int, ...], like: Tensor, *, generator: torch.Generator | None) -> Tensor:
    return torch.randn(shape, generator=generator, device=like.device, dtype=like.dtype)


def _check_count(name: str, value: int) -> None:
    if type(value) is not int or value < 1:
        raise ValueError(f"{name}={value!r} of a Jacobian's norm must be an integer >= 1")
