"""Orders of many things, one for each pass over them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


class Shuffles:
    """A new order for each pass, a pure function of (seed, purpose, pass).

    The order last asked for is kept. All random numbers are drawn on the CPU.

    Args:
        n: How many things.
        seed: Seed of the orders, >= 0.
        purpose: A number; different ones give independent orders.
        device: Where the orders are.
    """

    def __init__(self, n: int, seed: int, purpose: int, device: str | torch.device = "cpu") -> None:
        self.n = n
        self.seed = seed
        self.purpose = purpose
        self.device = device
        self._kept: tuple[int, Tensor] | None = None

    def order(self, number: int) -> Tensor:
        """Return the order of a pass.

        Args:
            number: Of the pass, from 0.

        Returns:
            `(n,)` int64, each of 0..n-1 once.
        """
        if self._kept is None or self._kept[0] != number:
            rng = np.random.default_rng([self.seed, number, self.purpose])
            self._kept = number, torch.from_numpy(rng.permutation(self.n)).to(self.device)
        return self._kept[1]

    def run(self, start: int, count: int) -> Tensor:
        """Return a piece of the endless sequence of all passes, one after the other.

        Args:
            start: Its first place, from 0.
            count: Its length.

        Returns:
            `(count,)` int64 of 0..n-1; any n in a row from a multiple of n on are all different.
        """
        pieces = []
        while count > 0:
            number, first = divmod(start, self.n)
            pieces.append(self.order(number)[first : first + count])
            start, count = start + len(pieces[-1]), count - len(pieces[-1])
        return torch.cat(pieces) if pieces else torch.empty(0, dtype=torch.int64, device=self.device)
