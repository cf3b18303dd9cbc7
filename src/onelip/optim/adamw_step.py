"""The AdamW update for parameters that stand beside those of another method in one optimiser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import increment_version
from torch.optim.adamw import adamw


def adamw_step_(
    parameters: Sequence[Tensor], gradients: Sequence[Tensor], states: Sequence[dict[str, Any]], group: dict[str, Any]
) -> None:
    """Take one step of AdamW, in as few kernel launches as the device allows.

    Args:
        parameters: Changed in place.
        gradients: Of the same shapes.
        states: One for each parameter; empty ones are filled with `step`, `exp_avg` and `exp_avg_sq`.
        group: Has `lr`, `betas` and `eps`, and may have `weight_decay`.

    Paper: Loshchilov and Hutter 2017, arXiv:1711.05101.
    """
    if not parameters:
        return
    for parameter, state in zip(parameters, states, strict=True):
        if "exp_avg_sq" not in state:
            # Counted on the CPU, where reading them does not wait for a device.
            state["step"] = torch.zeros((), dtype=torch.float32)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
    on_cpu = all(p.device.type == "cpu" for p in parameters)
    adamw(
        list(parameters),
        list(gradients),
        [s["exp_avg"] for s in states],
        [s["exp_avg_sq"] for s in states],
        [],
        [s["step"] for s in states],
        fused=on_cpu,
        foreach=not on_cpu,
        amsgrad=False,
        beta1=group["betas"][0],
        beta2=group["betas"][1],
        lr=group["lr"],
        weight_decay=group.get("weight_decay", 0.0),
        eps=group["eps"],
        maximize=False,
    )
    if on_cpu:
        # The fused kernel does not; layers see by it that what they have built of a parameter is out of date.
        increment_version(parameters)


class AdamUpdates:
    """Parameters of several groups, updated together where their options are the same."""

    def __init__(self) -> None:
        self._gathered: dict[Any, tuple[list[Tensor], list[Tensor], list[dict[str, Any]]]] = {}

    def add(
        self,
        group: dict[str, Any],
        weight_decay: float,
        parameters: Sequence[Tensor],
        gradients: Sequence[Tensor],
        states: Sequence[dict[str, Any]],
    ) -> None:
        """Add parameters.

        Args:
            group: Has `lr`, `betas` and `eps`.
            weight_decay: Decoupled decay, times the learning rate.
            parameters: Changed in place by `apply_`.
            gradients: Of the same shapes.
            states: As in `adamw_step_`.
        """
        key = (float(group["lr"]), tuple(group["betas"]), group["eps"], weight_decay)
        lists = self._gathered.setdefault(key, ([], [], []))
        lists[0].extend(parameters)
        lists[1].extend(gradients)
        lists[2].extend(states)

    def apply_(self) -> None:
        """Update them all."""
        for (lr, betas, eps, weight_decay), lists in self._gathered.items():
            adamw_step_(*lists, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})
