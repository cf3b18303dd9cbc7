"""Orthogonal parameters of one size as one batch, with their optimiser state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from onelip.layers.orthogonal_block import OrthogonalBlock

PUT_OFF = "gradient"
"""Key of a parameter's state: the sum of gradients that wait for its next step."""


class BlockBatch:
    """Parameters whose matrices have one size, stacked to `(batch, m, n)`.

    The state of each parameter holds views of the batch's, so that saving it needs nothing else. States found are taken
    over.

    Args:
        blocks: At least one, of the same m, n, precision and device.
        states: The optimiser's, by parameter.

    Attributes:
        parameters: The parameters.
        state: `exp_avg` and `exp_avg_sq`, stacked, and `step`.
    """

    def __init__(self, blocks: Sequence[OrthogonalBlock], states: Mapping[Tensor, dict[str, Any]]) -> None:
        self.parameters = [block.parameter for block in blocks]
        self._shapes = [block.shape for block in blocks]
        self._states = [states[p] for p in self.parameters]
        first = self._states[0]
        self.state: dict[str, Any] = {"step": first.get("step", torch.zeros((), dtype=torch.float32))}
        self._sizes = [shape[0] for shape in self._shapes]
        for name in ("exp_avg", "exp_avg_sq"):
            pieces = [
                s[name] if name in s else torch.zeros(shape, dtype=parameter.dtype, device=parameter.device)
                for s, shape, parameter in zip(self._states, self._shapes, self.parameters, strict=True)
            ]
            self.state[name] = torch.cat(pieces)
            for s, view in zip(self._states, self.state[name].split(self._sizes), strict=True):
                s[name] = view
        for s in self._states:
            s["step"] = self.state["step"]
            s.setdefault("interval", 1)
            s.setdefault("wait", 1)
        self._views: list[Tensor] = [s["exp_avg"] for s in self._states]

    def holds(self, states: Mapping[Tensor, dict[str, Any]]) -> bool:
        """Say whether the states of the parameters are still the batch's.

        Args:
            states: The optimiser's.

        Returns:
            False if a state was loaded since, or stepped in another batch.
        """
        pairs = zip(self.parameters, self._views, strict=True)
        return all(states[p].get("exp_avg") is view for p, view in pairs)

    def matrices(self) -> Tensor:
        """Stack the parameters.

        Returns:
            `(batch, m, n)`; shares memory with a single parameter.
        """
        return self._stacked([p.detach() for p in self.parameters])

    def gradients(self) -> Tensor:
        """Stack the gradients, and take those that were put off into their sum.

        Returns:
            `(batch, m, n)`; shares memory with that of a single parameter.
        """
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        put_off = [s.pop(PUT_OFF, None) for s in self._states]
        return self._stacked([g if o is None else g + o for g, o in zip(gradients, put_off, strict=True)])

    def write_(self, matrices: Tensor) -> None:
        """Put matrices into the parameters.

        Args:
            matrices: `(batch, m, n)`.
        """
        for parameter, piece in zip(self.parameters, matrices.split(self._sizes), strict=True):
            # What was stepped in place is there.
            if piece.data_ptr() != parameter.data_ptr():
                parameter.copy_(piece.view(parameter.shape))

    def due(self) -> bool:
        """Count a step.

        Returns:
            Is it time for drift control?
        """
        wait = min(s["wait"] for s in self._states) - 1
        for s in self._states:
            s["wait"] = wait
        return wait <= 0

    def plan(self, drift: float, tolerance: float, every: int) -> None:
        """Choose when the next drift control comes.

        Args:
            drift: What this one found.
            tolerance: What is let be.
            every: Largest number of steps.
        """
        interval = min(s["interval"] for s in self._states)
        if not drift <= tolerance:
            interval = max(1, interval // 2)
        elif drift < tolerance / 4:
            interval = min(every, 2 * interval)
        for s in self._states:
            s["interval"] = s["wait"] = interval

    def _stacked(self, tensors: list[Tensor]) -> Tensor:
        pieces = [t.reshape(shape) for t, shape in zip(tensors, self._shapes, strict=True)]
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)


def batched(blocks: Sequence[OrthogonalBlock], states: Mapping[Tensor, dict[str, Any]]) -> list[BlockBatch]:
    """Put parameters of one size, precision and device that have taken as many steps into one batch each.

    Args:
        blocks: The parameters.
        states: The optimiser's.

    Returns:
        The batches.
    """
    members: dict[Any, list[OrthogonalBlock]] = {}
    for block in blocks:
        p = block.parameter
        key = (*block.shape[1:], p.dtype, p.device, float(states[p].get("step", 0.0)))
        members.setdefault(key, []).append(block)
    return [BlockBatch(of_key, states) for of_key in members.values()]
