"""Which images of a run are shown: chosen by a fixed rule, before anything is known of what an attack finds."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from onelip.data import ImageData
from onelip.metrics import signed_margin

N_IMAGES = 12
N_NEAREST = 3
"""So many of them are those of the smallest values."""


def choose_examples(values: Tensor, labels: Tensor, n: int = N_IMAGES, n_nearest: int = N_NEAREST) -> Tensor:
    """Choose the images of the smallest values, and others evenly spread over the ranks.

    Images with a positive value are ranked. The first `n_nearest` are taken; the rest is cut into slices of equal
    size, and of each slice comes the image nearest to its middle whose class has been taken least often so far.

    Args:
        values: `(N,)` certified radii, margins or the like; not positive for images that are not to be shown.
        labels: `(N,)` classes.
        n: How many images.
        n_nearest: How many of them are of the smallest values.

    Returns:
        At most `n` positions, by rising value.
    """
    eligible = torch.nonzero(values > 0).flatten()
    ranked = eligible[torch.sort(values[eligible], stable=True).indices]
    n = min(n, len(ranked))
    n_nearest = min(n_nearest, n)
    chosen = ranked[:n_nearest].tolist()
    taken: dict[int, int] = {}
    for position in chosen:
        taken[int(labels[position])] = taken.get(int(labels[position]), 0) + 1
    rest = ranked[n_nearest:]
    for k in range(n - n_nearest):
        start, stop = k * len(rest) // (n - n_nearest), (k + 1) * len(rest) // (n - n_nearest)
        middle = (start + stop - 1) / 2
        ranks = sorted(range(start, stop), key=lambda r: (taken.get(int(labels[rest[r]]), 0), abs(r - middle), r))
        position = int(rest[ranks[0]])
        taken[int(labels[position])] = taken.get(int(labels[position]), 0) + 1
        chosen.append(position)
    return torch.tensor(chosen, dtype=torch.int64)


def margins_of(network: nn.Module, samples: ImageData, batch_size: int = 256) -> Tensor:
    """Measure by how much each right logit leads.

    Args:
        network: A classifier, in eval mode.
        samples: The images.
        batch_size: How many at a time.

    Returns:
        `(N,)` float64, negative where the answer is wrong.
    """
    with torch.no_grad():
        parts = torch.arange(len(samples)).split(batch_size)
        leads = [signed_margin(network(samples.pixels(part)).double(), samples.labels[part]) for part in parts]
    return torch.cat(leads)
