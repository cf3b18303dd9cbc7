"""What a distribution is here: something that draws samples from a generator that it is given."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

Sampler = Callable[[int, torch.Generator], Tensor]
"""`(n, generator)` to `(n, *shape)` independent samples, floating point, which depend on the generator alone."""

TRAINING, HELD_OUT = 0, 1
"""Streams of random numbers: what a critic is trained on, and what it is measured on."""


@runtime_checkable
class Distribution(Protocol):
    """A sampler that knows the shape of a sample."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        ...

    def __call__(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw independent samples.

        Args:
            n: How many.
            generator: Where all randomness comes from; the samples are on its device.

        Returns:
            `(n, *shape)`.
        """
        ...


def sample_generator(seed: int, stream: int, step: int = 0) -> torch.Generator:
    """Make the source of the samples of one step, a pure function of its arguments: a resumed training draws the same.

    Args:
        seed: At least 0.
        stream: `TRAINING`, `HELD_OUT`, or any other number from 0 on, each with numbers of its own.
        step: Counted from 0.

    Returns:
        A new generator, of the CPU, so that the numbers are those of every machine.

    Raises:
        ValueError: An argument is negative.
    """
    for name, value in (("seed", seed), ("stream", stream), ("step", step)):
        if value < 0:
            raise ValueError(f"{name}={value} in sample_generator must be at least 0")
    words = np.random.SeedSequence([seed, stream, step]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(words[0]))


def draw(sampler: Sampler, n: int, generator: torch.Generator, name: str) -> Tensor:
    """Draw samples without gradients and check that they are some.

    Args:
        sampler: Any.
        n: How many.
        generator: Of what.
        name: Of the sampler, for messages.

    Returns:
        `(n, *shape)`.

    Raises:
        ValueError: The sampler returned anything else.
    """
    with torch.no_grad():
        x: Any = sampler(n, generator)
    if not isinstance(x, Tensor) or x.ndim < 2 or x.shape[0] != n or not x.is_floating_point():
        got = f"{tuple(x.shape)} of {x.dtype}" if isinstance(x, Tensor) else type(x).__name__
        raise ValueError(f"{name} returned {got}; asked for {n} samples it must return floats of shape ({n}, ...)")
    return x


def batches(sampler: Sampler, n: int, batch_size: int, generator: torch.Generator, name: str) -> Iterator[Tensor]:
    """Draw samples batch by batch.

    Args:
        sampler: Any; one whose `replacement` is False is asked for all batches at once, by its
            `passes(n, batch_size, generator)`.
        n: How many samples in all.
        batch_size: Largest batch.
        generator: Of what.
        name: Of the sampler, for messages.

    Yields:
        The batches, the last one smaller where need be.
    """
    if not with_replacement(sampler):
        whole: Any = sampler
        yield from whole.passes(n, batch_size, generator)
        return
    for start in range(0, n, batch_size):
        yield draw(sampler, min(batch_size, n - start), generator, name)


def with_replacement(sampler: Sampler) -> bool:
    """Say whether what one call draws does not depend on what others drew.

    Args:
        sampler: Any.

    Returns:
        False for finite sets that give no sample twice.
    """
    return bool(getattr(sampler, "replacement", True))


def coordinates(owner: str, name: str, values: Any) -> tuple[float, ...]:
    """Take the coordinates of a point.

    Args:
        owner: Class that the user called.
        name: The argument.
        values: Its value; one number is a point on the line.

    Returns:
        The coordinates, at least one.

    Raises:
        ValueError: They are no finite numbers in a row.
    """
    array = _floats(owner, name, values)
    if array.ndim > 1 or array.size == 0:
        raise ValueError(f"{name} in {owner} has shape {array.shape}; it must be a number or (d,) numbers")
    return tuple(np.atleast_1d(array).tolist())


def points(owner: str, name: str, values: Any) -> tuple[tuple[float, ...], ...]:
    """Take several points of one dimension.

    Args:
        owner: Class that the user called.
        name: The argument.
        values: Its value, `(k, d)`.

    Returns:
        The points.

    Raises:
        ValueError: They are anything else than finite numbers in rows of one length.
    """
    array = _floats(owner, name, values)
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"{name} in {owner} has shape {array.shape}; it must be (k, d): k points of d coordinates")
    return tuple(tuple(row) for row in array.tolist())


def probabilities(owner: str, weights: Sequence[float] | None, n: int) -> tuple[float, ...]:
    """Take weights and make their sum one.

    Args:
        owner: Class that the user called.
        weights: At least 0 each; None for equal ones.
        n: How many there must be.

    Returns:
        The probabilities.

    Raises:
        ValueError: They are not that.
    """
    if weights is None:
        return (1.0 / n,) * n
    array = _floats(owner, "weights", weights)
    if array.shape != (n,) or (array < 0).any() or not array.sum() > 0:
        raise ValueError(f"weights={weights!r} in {owner} must be {n} numbers >= 0 with a positive sum")
    return tuple((array / math.fsum(array)).tolist())


def check_positive(owner: str, **values: float) -> None:
    """Refuse numbers that are not positive and finite.

    Args:
        owner: Class that the user called.
        **values: By argument.

    Raises:
        ValueError: One is not.
    """
    for name, value in values.items():
        if not 0 < value < math.inf:
            raise ValueError(f"{name}={value!r} in {owner} must be positive and finite")


def check_counts(owner: str, least: int = 1, **values: int) -> None:
    """Refuse what is no integer, or too small a one.

    Args:
        owner: Function or class that the user called.
        least: Smallest allowed value.
        **values: By argument.

    Raises:
        ValueError: One is not.
    """
    for name, value in values.items():
        if type(value) is not int or value < least:
            raise ValueError(f"{name}={value!r} in {owner} must be an integer >= {least}")


def _floats(owner: str, name: str, values: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    try:
        array = np.asarray(values.detach().cpu() if isinstance(values, Tensor) else values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}={values!r} in {owner} must be numbers, in rows of one length") from error
    if not np.isfinite(array).all():
        raise ValueError(f"{name} in {owner} must be finite, and has infinity or NaN")
    return array
