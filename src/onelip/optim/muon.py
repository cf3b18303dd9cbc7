"""Muon: steps that are orthogonal matrices, for weights that are matrices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import prod, sqrt
from typing import Any, Self

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers import OrthogonalBlock
from onelip.layers.explicit_weight import ExplicitWeight
from onelip.linalg import polar_express
from onelip.optim.adamw_step import adamw_step_
from onelip.optim.block_groups import block_groups
from onelip.optim.checks import check_betas, check_count, check_positive


class Muon(torch.optim.Optimizer):
    """Momentum whose sum is replaced by its polar factor; AdamW for parameters that are no hidden matrices.

    B <- momentum B + G, U = polar(G + momentum B) (Nesterov) or polar(B), W <- (1 - lr wd) W - lr sqrt(max(1, m/n)) U.
    Kernels (out, in, k_h, k_w) are seen as (out, in k_h k_w) and what has more leading axes as a batch. Matrices of one
    size share a batch. The polar factor is Polar Express cut off after `steps` steps, the last of which never exceeds
    1: a step's norm is at most its rate, unlike with polynomials tuned to overshoot.

    Args:
        params: Parameters or groups of them; a group with a key "shapes", `(batch, m, n)` for each of its parameters,
            is stepped in this way, others by AdamW. `for_model` makes
            them.
        lr: Learning rate.
        momentum: Decay of their running sum.
        nesterov: Look ahead along it?
        steps: Steps of Polar Express.
        betas: Decays of AdamW's running means.
        eps: What AdamW adds to the root of the mean square.
        weight_decay: Decoupled decay per step, times the learning rate.

    Raises:
        ValueError: If an argument is out of range.

    Cost: three products `(m, n) x (n, n)`, n the smaller side, for each step of Polar Express.
    Paper: Jordan et al. 2024, Muon; Amsel, Persson, Musco and Gower 2025, arXiv:2505.16932.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.02,
        *,
        momentum: float = 0.95,
        nesterov: bool = True,
        steps: int = 6,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        check_positive("Muon", lr=lr, eps=eps)
        check_positive("Muon", zero=True, weight_decay=weight_decay)
        check_betas("Muon", (momentum, *betas))
        check_count("Muon", steps=steps)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "nesterov": nesterov,
            "steps": steps,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
        }
        super().__init__(params, defaults)

    @classmethod
    def for_model(cls, model: nn.Module, lr: float = 0.02, *, adam_lr: float = 1e-3, **options: Any) -> Self:
        """Sort a model's parameters by `hidden_matrices` and make their optimiser.

        Args:
            model: Left as it is.
            lr: Learning rate of the matrices.
            adam_lr: Learning rate of the other parameters.
            **options: Those of the class.

        Returns:
            The optimiser, with the matrices in its first group and all other parameters in its last.
        """
        return cls(block_groups(model, hidden_matrices(model), lr=adam_lr), lr, **options)

    @override
    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if "shapes" in group:
                self._step_matrices(group)
            else:
                chosen = [p for p in group["params"] if p.grad is not None]
                adamw_step_(chosen, [p.grad for p in chosen], [self.state[p] for p in chosen], group)
        return loss

    def _step_matrices(self, group: dict[str, Any]) -> None:
        members: dict[Any, list[tuple[nn.Parameter, tuple[int, ...]]]] = {}
        for parameter, shape in zip(group["params"], group["shapes"], strict=True):
            if parameter.grad is not None:
                members.setdefault((*shape[1:], parameter.dtype, parameter.device), []).append((parameter, shape))
        for (m, n, *_), pairs in members.items():
            parameters: list[Tensor] = [p for p, _ in pairs]
            directions = [d.reshape(shape) for d, (_, shape) in zip(self._sums(parameters, group), pairs, strict=True)]
            factor = polar_express(torch.cat(directions), max_steps=group["steps"]).matrix
            factor = factor.mul_(-group["lr"] * sqrt(max(1.0, m / n)))
            torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
            pieces = factor.split([shape[0] for _, shape in pairs])
            torch._foreach_add_(parameters, [s.reshape(p.shape) for s, p in zip(pieces, parameters, strict=True)])

    def _sums(self, parameters: list[Tensor], group: dict[str, Any]) -> Sequence[Tensor]:
        gradients = [p.grad for p in parameters if p.grad is not None]
        for parameter in parameters:
            self.state[parameter].setdefault("momentum_buffer", torch.zeros_like(parameter))
        sums = [self.state[p]["momentum_buffer"] for p in parameters]
        torch._foreach_mul_(sums, group["momentum"])
        torch._foreach_add_(sums, gradients)
        return torch._foreach_add(gradients, sums, alpha=group["momentum"]) if group["nesterov"] else sums


def hidden_matrices(model: nn.Module) -> list[OrthogonalBlock]:
    """Choose the parameters that Muon's steps suit: matrices and kernels between the first and the last layer.

    Args:
        model: Any module.

    Returns:
        Parameters that learn and have at least two rows and columns, without those of the first and the last module
        that have any. What a layer calls an orthogonal block is a batch of matrices, other kernels (out, in, ...) are
        one matrix (out, in ...).
    """
    found = [blocks for module in model.modules() if (blocks := _matrices_of(module))]
    ends = {id(block.parameter) for blocks in (*found[:1], *found[-1:]) for block in blocks}
    hidden = {id(block.parameter): block for blocks in found for block in blocks}
    return [block for key, block in hidden.items() if key not in ends]


def _matrices_of(module: nn.Module) -> list[OrthogonalBlock]:
    batches = module.orthogonal_blocks() if isinstance(module, ExplicitWeight) else ()
    shapes = {id(block.parameter): block.shape for block in batches}
    blocks = [
        OrthogonalBlock(p, shapes.get(id(p), (1, p.shape[0], prod(p.shape[1:]))))
        for p in module.parameters(recurse=False)
        if p.requires_grad and p.ndim >= 2
    ]
    return [block for block in blocks if min(block.shape[1:]) > 1]
