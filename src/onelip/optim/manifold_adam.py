"""Adam on orthogonal matrices that stay orthogonal, so that layers need no constraint code."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal, Self, get_args

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers import on_manifold_
from onelip.layers.orthogonal_block import OrthogonalBlock, is_trusted, trust, trust_if_orthogonal
from onelip.linalg import full_precision, polar_express
from onelip.linalg.manifold_steps import (
    exponential_step,
    geodesic_step,
    nearer_orthogonal,
    skew_gradient,
    tangent_projection,
)
from onelip.linalg.polar import polar_factor
from onelip.optim.adamw_step import AdamUpdates
from onelip.optim.block_batch import PUT_OFF, BlockBatch, batched
from onelip.optim.block_groups import block_groups
from onelip.optim.checks import check_betas, check_choice, check_count, check_positive

Retraction = Literal["polar", "exponential"]
Momentum = Literal["adam", "muon"]
Precision = Literal["bfloat16", "float32", "float64"]

_LOOSE = 1e-2
"""Residual at which the direction of "muon" counts as orthogonal."""

_WIDE = 128
"""Rows and columns from which products are taken in bfloat16; below, a CPU takes longer to prepare them."""


class ManifoldAdam(torch.optim.Optimizer):
    """Adam with moments in the tangent space of the orthogonal matrices; AdamW for all other parameters.

    For square X with gradient G, A = (X^T G - G^T X) / 2; Adam's running means of A and of its squares give a skew step
    S = -lr m / (sqrt(v) + eps), and X <- X exp(S). Semi-orthogonal X take the projection of the gradient onto the
    tangent space in place of A, and project the step too. Matrices of one size are stepped in one batch.

    "polar" replaces the exponential by X + X S and leaves it to the drift control to return to the manifold, by Bjorck
    steps X (3 I - X^T X) / 2. Control comes at least every `every` steps and after every step while the drift
    ||X^T X - I||_F / sqrt(n) that it measures exceeds `tolerance`: the interval halves if the drift was above it and
    doubles if it was below a quarter. "exponential" follows the geodesic by Taylor polynomials, with the same control.

    Parameters changed by anyone else, as by a loaded state or `Lookahead`, are projected before the next step.

    Args:
        params: Parameters or groups of them; a group with a key "shapes", `(batch, m, n)` for each of its parameters,
            is one of orthogonal matrices. `for_model` makes them.
        lr: Learning rate; in a group of its own, of that group.
        betas: Decay of the running means of the gradient and of its square.
        eps: What is added to the root of the mean square.
        weight_decay: Decoupled decay of the other parameters per step, times the learning rate.
        retraction: "polar" or "exponential".
        momentum: "adam", or "muon" for the polar factor of the running mean (with Nesterov's correction) as direction.
        every: Largest number of steps from one drift control to the next.
        tolerance: Drift that is let be.
        period: Steps of the other parameters for one of the matrices, which takes the mean of their gradients: as if
            the matrices alone were trained with batches so many times larger, at that part of the cost.
        precision: Of the steps, if the parameters have no higher one. "bfloat16" rounds the factors of the products
            that give the tangent and a "polar" step, of matrices of 128 rows and columns and more, which changes both
            by less than a hundredth; the sum, the drift control, and the polynomials of "exponential" and "muon" stay
            in float32.

    Raises:
        ValueError: If an argument is out of range.

    Cost: for an (n, n) matrix 2 products and 2 / `every` more with "polar", 3 to 5 with "exponential".
    Paper: Hu, Hu and Fredrikson 2026, arXiv:2601.18513 (LipNeXt); Becigneul and Ganea 2018, arXiv:1810.00760.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        retraction: Retraction = "polar",
        momentum: Momentum = "adam",
        every: int = 8,
        tolerance: float = 1e-2,
        period: int = 1,
        precision: Precision = "float32",
    ) -> None:
        owner = type(self).__name__
        check_positive(owner, lr=lr, eps=eps, tolerance=tolerance)
        check_positive(owner, zero=True, weight_decay=weight_decay)
        check_betas(owner, betas)
        check_count(owner, every=every, period=period)
        check_choice(owner, "retraction", retraction, get_args(Retraction))
        check_choice(owner, "momentum", momentum, get_args(Momentum))
        check_choice(owner, "precision", precision, get_args(Precision))
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "retraction": retraction,
            "momentum": momentum,
            "every": every,
            "tolerance": tolerance,
            "period": period,
            "precision": precision,
        }
        super().__init__(params, defaults)

    @classmethod
    def for_model(cls, model: nn.Module, lr: float = 1e-3, **options: Any) -> Self:
        """Switch a model's layers by `on_manifold_` and make the optimiser of all its parameters.

        Args:
            model: Changed in place; its function stays the same.
            lr: Learning rate.
            **options: Those of the class.

        Returns:
            The optimiser, with the orthogonal matrices in its first group and all other parameters in its last.
        """
        return cls(block_groups(model, on_manifold_(model)), lr, **options)

    @override
    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with full_precision():
            self._step()
        return loss

    def _step(self) -> None:
        moves, updates = [], AdamUpdates()
        for group in self.param_groups:
            if "shapes" in group:
                moves += [Move(batch, group, updates) for batch in self._batches(group)] if self._due(group) else []
            else:
                chosen = [p for p in group["params"] if p.grad is not None]
                states = [self.state[p] for p in chosen]
                updates.add(group, group["weight_decay"], chosen, [p.grad for p in chosen], states)
        updates.apply_()
        for move in moves:
            move.finish_()

    def _due(self, group: dict[str, Any]) -> bool:
        # Saved with the group.
        group["waited"] = group.get("waited", 0) + 1
        if group["waited"] >= group["period"]:
            group["waited"] = 0
            return True
        for p in group["params"]:
            if p.grad is not None:
                before = self.state[p].get(PUT_OFF)
                self.state[p][PUT_OFF] = p.grad.clone() if before is None else before.add_(p.grad)
        return False

    @torch.no_grad()
    def settle_(self) -> None:
        """Project the orthogonal matrices that someone else has changed."""
        for group in self.param_groups:
            for parameter, shape in zip(group["params"], group.get("shapes", ()), strict=False):
                if not is_trusted(parameter):
                    parameter.copy_(_projected(parameter.reshape(shape)).reshape(parameter.shape))
                    trust(parameter)

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Called when a state is loaded, and for a copy. The weights that it belongs to were within the tolerance, and
        # these are if they are the same; then the next step is the one that would have followed.
        super().__setstate__(state)
        for group in self.param_groups:
            for parameter, shape in zip(group["params"], group.get("shapes", ()), strict=False):
                trust_if_orthogonal(OrthogonalBlock(parameter, shape), 4 * group["tolerance"])

    @property
    def _kept_batches(self) -> dict[int, tuple[list[int], list[BlockBatch]]]:
        # Made anew by a copy, which has tensors of its own in `state`.
        kept: dict[int, tuple[list[int], list[BlockBatch]]] = self.__dict__.setdefault("_batches_by_key", {})
        return kept

    def _batches(self, group: dict[str, Any]) -> list[BlockBatch]:
        chosen = [i for i, p in enumerate(group["params"]) if p.grad is not None]
        kept = self._kept_batches.get(id(group))
        if kept is None or kept[0] != chosen or not all(batch.holds(self.state) for batch in kept[1]):
            blocks = [OrthogonalBlock(group["params"][i], tuple(group["shapes"][i])) for i in chosen]
            kept = self._kept_batches[id(group)] = chosen, batched(blocks, self.state)
        return kept[1]


class Move:
    """One step of a batch of matrices: first its tangent, then, once the direction is known, the retraction."""

    def __init__(self, batch: BlockBatch, group: dict[str, Any], updates: AdamUpdates) -> None:
        self._batch, self._group = batch, group
        x, gradient = batch.matrices(), batch.gradients()
        if not all(map(is_trusted, batch.parameters)):
            x = _projected(x)
        chosen: torch.dtype = getattr(torch, group["precision"])
        self._x = x.to(torch.promote_types(torch.promote_types(x.dtype, chosen), torch.float32))
        # What the products are taken of.
        rounded = chosen == torch.bfloat16 and self._x.dtype == torch.float32 and min(x.shape[-2:]) >= _WIDE
        self._factor = self._x.to(chosen) if rounded else self._x
        self._square = x.shape[-2] == x.shape[-1]
        gradient_at = skew_gradient if self._square else tangent_projection
        tangent = gradient_at(self._factor, gradient.to(self._factor.dtype)).to(x.dtype)
        if group["period"] > 1:
            tangent /= group["period"]
        # What lies across the manifold of a step that is added is as good as gone at the drift control, which would
        # follow at these rates in any case.
        self._added = not self._square and group["retraction"] == "polar"
        self._in_place = False
        if group["momentum"] == "muon":
            self._step = self._muon(tangent)
            return
        # Adam's update of zeros is the step, and that of the matrices their sum, in place where they are one parameter.
        self._in_place = self._added and self._x.dtype == tangent.dtype
        self._step = self._x if self._in_place else torch.zeros_like(tangent)
        updates.add(group, 0.0, [self._step], [tangent], [batch.state])

    def finish_(self) -> None:
        """Take the step, control the drift where it is due, and write the parameters."""
        batch, group = self._batch, self._group
        y = self._x if self._in_place else self._retracted()
        if batch.due():
            y, drift = nearer_orthogonal(y, group["tolerance"])
            batch.plan(drift, group["tolerance"], group["every"])
        batch.write_(y)
        for parameter in batch.parameters:
            trust(parameter)

    def _retracted(self) -> Tensor:
        if self._square and self._group["retraction"] == "polar":
            step = self._step.to(self._factor.dtype)
            if self._factor is self._x:
                return torch.baddbmm(self._x, self._x, step)
            return (self._factor @ step).to(self._x.dtype).add_(self._x)
        x, step = self._x, self._step.to(self._x.dtype)
        if self._square:
            return exponential_step(x, step)
        if self._added:
            return x + step
        step = tangent_projection(x, step)
        if x.shape[-2] > x.shape[-1]:
            return geodesic_step(x, step)
        return geodesic_step(x.mT, step.mT).mT

    def _muon(self, tangent: Tensor) -> Tensor:
        state, beta = self._batch.state, self._group["betas"][0]
        state["step"] += 1
        mean = state["exp_avg"].mul_(beta).add_(tangent)
        # An odd polynomial of a skew matrix is skew.
        return -self._group["lr"] * polar_express(tangent + beta * mean, tol=_LOOSE).matrix


def _projected(matrices: Tensor) -> Tensor:
    return polar_factor(matrices.double()).to(matrices.dtype)
