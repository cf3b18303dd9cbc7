"""Seeds for packages that draw from the global generators."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def drawn_seed(generator: torch.Generator | None) -> int:
    """Draw the seed of an attack that takes no generator.

    Args:
        generator: Source of randomness, or None for torch's own.

    Returns:
        The seed.
    """
    device = "cpu" if generator is None else generator.device
    return int(torch.randint(2**31, (), generator=generator, device=device))


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the global generators of torch and NumPy, and put them back afterwards.

    Args:
        seed: The seed, at least 0 and less than 2^32.
        device: Where torch draws.

    Yields:
        Nothing.
    """
    state = np.random.get_state()  # noqa: NPY002  (packages draw from it)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(state)  # noqa: NPY002
