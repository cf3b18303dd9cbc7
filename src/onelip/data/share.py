"""What one process takes of the batches that several processes learn from together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from typing_extensions import override


class Piece(NamedTuple):
    """Consecutive images of a batch.

    Attributes:
        first: Position of the first one.
        last: Position after the last one.
        n: How many images the whole batch has.
    """

    first: int
    last: int
    n: int

    def within(self, start: int, stop: int) -> Piece:
        """Say what of this piece lies in a part of the batch.

        Args:
            start: Where the part begins.
            stop: Where it ends.

        Returns:
            Positions counted from `start`, of the `stop - start` images of the part; possibly none.
        """
        first, last = (min(max(position, start), stop) - start for position in (self.first, self.last))
        return Piece(first, last, stop - start)

    @property
    def places(self) -> slice:
        """The positions as a slice."""
        return slice(self.first, self.last)


@dataclass(frozen=True)
class Share:
    """The part of every batch that one of several processes takes, such that they take each image once.

    Attributes:
        rank: Number of the process, from 0.
        size: How many processes there are.

    Raises:
        ValueError: There is no such process.
    """

    rank: int = 0
    size: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.size:
            raise ValueError(f"rank={self.rank} in Share must be one of the size={self.size} processes, from 0")

    def of(self, n: int) -> Piece:
        """Divide a batch as evenly as it goes.

        Args:
            n: Images in the batch.

        Returns:
            What this process takes: the whole batch, as every other process, if there are fewer images than processes.
        """
        if n < self.size:
            return Piece(0, n, n)
        return Piece(self.rank * n // self.size, (self.rank + 1) * n // self.size, n)


class PieceOfDraws(np.random.Generator):
    """Draw for all images of a batch and keep the numbers of a piece of it.

    The last axis of what is drawn is that of the images. So what happens to an image does not depend on who takes it.

    Args:
        rng: Where the numbers come from.
        piece: Which of them to keep.
    """

    def __init__(self, rng: np.random.Generator, piece: Piece) -> None:
        super().__init__(rng.bit_generator)
        self._piece = piece

    @override
    def integers(self, *args: Any, size: Any = None, **kwargs: Any) -> Any:
        every: Any = super()
        return self._kept(every.integers(*args, size=self._whole(size), **kwargs))

    @override
    def uniform(self, *args: Any, size: Any = None, **kwargs: Any) -> Any:
        every: Any = super()
        return self._kept(every.uniform(*args, size=self._whole(size), **kwargs))

    @override
    def random(self, size: Any = None, *args: Any, **kwargs: Any) -> Any:
        every: Any = super()
        return self._kept(every.random(self._whole(size), *args, **kwargs))

    def _whole(self, size: Any) -> tuple[int, ...]:
        shape = size if isinstance(size, tuple) else (size,)
        if shape[-1] != self._piece.last - self._piece.first:
            raise ValueError(f"size={size!r} of random numbers in PieceOfDraws must end with the number of images")
        return (*shape[:-1], self._piece.n)

    def _kept(self, drawn: Any) -> Any:
        return drawn[..., self._piece.places]
