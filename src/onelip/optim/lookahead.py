"""Lookahead: slow weights that follow any optimiser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from onelip.optim.checks import check_count, check_positive


class Lookahead(torch.optim.Optimizer):
    """Let an optimiser run k steps, then go back to a point on the way: phi <- phi + alpha (theta - phi), theta <- phi.

    The slow weights phi start as the parameters are at the first step. Parameter groups and state are the inner
    optimiser's, so learning-rate schedules of this wrapper act on it. Parameters that are to stay orthogonal, as in
    `ManifoldAdam`, are projected after each interpolation.

    Args:
        inner: Any optimiser; step this one instead of it.
        k: Steps of the inner optimiser for one of the slow weights.
        alpha: Part of the way that the slow weights go, above 0 and at most 1.

    Raises:
        ValueError: If an argument is out of range.

    Cost: a copy of the parameters, and one interpolation each k steps.
    Paper: Zhang, Lucas, Hinton and Ba 2019, arXiv:1907.08610, algorithm 1.
    """

    def __init__(self, inner: torch.optim.Optimizer, k: int = 6, alpha: float = 0.5) -> None:
        check_count("Lookahead", k=k)
        check_positive("Lookahead", alpha=alpha)
        if alpha > 1:
            raise ValueError(f"alpha={alpha!r} in Lookahead must be above 0 and at most 1")
        self.inner, self.k, self.alpha = inner, k, alpha
        self._steps = 0
        self._slow: list[Tensor] | None = None
        # Enters the inner groups themselves, through the property below.
        super().__init__(list(inner.param_groups), {})
        self.defaults = inner.defaults

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The inner optimiser's groups."""
        return self.inner.param_groups

    @param_groups.setter
    def param_groups(self, groups: list[dict[str, Any]]) -> None:
        self.inner.param_groups = groups

    @property
    def state(self) -> Any:
        """The inner optimiser's state."""
        return self.inner.state

    @state.setter
    def state(self, state: Any) -> None:
        # The base class begins with an empty one; the inner optimiser may have begun already.
        if state:
            self.inner.state = state

    @override
    def add_param_group(self, param_group: dict[str, Any]) -> None:
        self.inner.add_param_group(param_group)

    @override
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        parameters = [p for group in self.param_groups for p in group["params"]]
        if self._slow is None:
            self._slow = [p.detach().clone() for p in parameters]
        # Parameters that were added since begin here.
        self._slow += [p.detach().clone() for p in parameters[len(self._slow) :]]
        loss = self.inner.step(closure)
        self._steps += 1
        if self._steps % self.k == 0:
            self._slow = self._synchronised(parameters, self._slow)
        return loss

    @torch.no_grad()
    def _synchronised(self, parameters: list[Tensor], slow: list[Tensor]) -> list[Tensor]:
        slow = [s.to(p.device, p.dtype) for s, p in zip(slow, parameters, strict=True)]
        torch._foreach_lerp_(slow, parameters, self.alpha)
        torch._foreach_copy_(parameters, slow)
        settle = getattr(self.inner, "settle_", None)
        if settle is not None:
            settle()
            torch._foreach_copy_(slow, parameters)
        return slow

    @override
    def state_dict(self) -> dict[str, Any]:
        # The slow weights are copied, as the inner state is not: they are changed in place by later steps.
        slow = None if self._slow is None else list(self._slow)
        return {**self.inner.state_dict(), "lookahead": {"steps": self._steps, "slow": slow}}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        own = state_dict["lookahead"]
        self.inner.load_state_dict({k: v for k, v in state_dict.items() if k != "lookahead"})
        self._steps = own["steps"]
        self._slow = None if own["slow"] is None else [s.detach().clone() for s in own["slow"]]

    def __getstate__(self) -> dict[str, Any]:
        own = {"inner": self.inner, "k": self.k, "alpha": self.alpha, "_steps": self._steps, "_slow": self._slow}
        return {**own, "defaults": self.defaults}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
