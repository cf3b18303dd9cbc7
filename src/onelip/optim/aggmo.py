"""AggMo: gradient descent with several momenta at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from onelip.optim.checks import check_betas, check_positive


class AggMo(torch.optim.Optimizer):
    """Aggregated momentum: v_i <- beta_i v_i - g for each damping, and theta <- theta + lr mean(v_i).

    Large dampings go fast where gradients agree, small ones keep them from oscillating. The published choice is
    beta_i = 1 - 0.1^i, i = 0, 1, ..., K - 1; K = 3 is the default and what LNets trained with.

    Args:
        params: Parameters or groups of them.
        lr: Learning rate.
        betas: The dampings.
        weight_decay: Factor of the weights that is added to the gradient.

    Raises:
        ValueError: If an argument is out of range.

    Cost: one velocity for each damping.
    Paper: Lucas, Sun, Zemel and Grosse 2018, arXiv:1804.00325, equation 3.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.1,
        betas: tuple[float, ...] = (0.0, 0.9, 0.99),
        weight_decay: float = 0.0,
    ) -> None:
        check_positive("AggMo", lr=lr)
        check_positive("AggMo", zero=True, weight_decay=weight_decay)
        check_betas("AggMo", betas)
        if not betas:
            raise ValueError("betas=() in AggMo must have at least one damping")
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @override
    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            self._step_group(group)
        return loss

    def _step_group(self, group: dict[str, Any]) -> None:
        parameters = [p for p in group["params"] if p.grad is not None]
        if not parameters:
            return
        gradients: list[Tensor] = [p.grad for p in parameters]
        if group["weight_decay"]:
            gradients = list(torch._foreach_add(gradients, parameters, alpha=group["weight_decay"]))
        betas = group["betas"]
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter]["velocities"] = [torch.zeros_like(parameter) for _ in betas]
        for i, beta in enumerate(betas):
            velocities = [self.state[p]["velocities"][i] for p in parameters]
            torch._foreach_mul_(velocities, beta)
            torch._foreach_sub_(velocities, gradients)
            torch._foreach_add_(parameters, velocities, alpha=group["lr"] / len(betas))
