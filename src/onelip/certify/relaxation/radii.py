"""The largest balls in which linear relaxation proves a label."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from onelip.certify.radius import LARGEST_RADIUS
from onelip.certify.records import Network
from onelip.certify.relaxation.margins import Options, Relaxation, checked, evaluated, margins_of
from onelip.certify.relaxation.program import Program
from onelip.certify.relaxation.region import Norm, make_region
from onelip.certify.values import Values


def relaxed_radii(
    network: Network,
    images: Tensor,
    labels: Tensor,
    *,
    norm: Norm = "l2",
    method: Relaxation = "crown",
    constants: bool = True,
    steps: int = 8,
) -> Tensor:
    """Search for the largest ball around each sample in which linear relaxation proves the label.

    Every radius returned was proved by `relaxed_margins`; it is found by bisection below the distance at which the
    network, if it were linear, would change its answer, or twice that, and so on.

    Args:
        network: A frozen network, such as `certificate.network`.
        images: `(N, ...)` floating point samples, taken as exact.
        labels: `(N,)` int64.
        norm: "l2" or "linf".
        method: As in `relaxed_margins`.
        constants: As in `relaxed_margins`.
        steps: Halvings of the interval; the radius is within 2^-steps of the largest provable one, if that is
            unique.

    Returns:
        `(N,)` float64 in the norm and the units of the input; 0 for samples that are misclassified, for ties and
        where nothing could be shown. At most `LARGEST_RADIUS`.

    Raises:
        UnrelaxableOperation: If the network has an operation without a relaxation.
        ValueError: If an argument is out of range.
    """
    options = Options(norm, method, constants)
    program = checked(network, images, labels, options)
    if steps < 1:
        raise ValueError(f"steps={steps} in relaxed_radii must be at least 1")
    found = []
    for part, values in evaluated(program, images):
        found.append(_search(_Samples(program, values, labels[part].cpu(), options), steps))
    return torch.cat(found)


@dataclass(frozen=True, eq=False)
class _Samples:
    program: Program
    values: dict[str, Values]
    labels: Tensor
    options: Options

    def margins(self, radii: Tensor) -> Tensor:
        return margins_of(self.program, self.values, self.labels, radii, self.options)

    def proved(self, radii: Tensor) -> Tensor:
        return self.margins(radii).amin(1) > 0

    def subset(self, keep: Tensor) -> _Samples:
        values = {name: (x[keep], error[keep]) for name, (x, error) in self.values.items()}
        return replace(self, values=values, labels=self.labels[keep])

    def small(self) -> Tensor:
        # A radius about that which the network's constant proves; only a start for the search.
        ones = torch.ones(len(self.labels), dtype=torch.float64)
        spread = make_region(self.program, self.values, ones, self.options.norm, True).spread
        margins = self.margins(0 * ones).amin(1)
        return (margins / (2 * spread.get(self.program.output, ones)).clamp(min=2.0**-500)).clamp(max=LARGEST_RADIUS)


def _search(samples: _Samples, steps: int) -> Tensor:
    radii = torch.zeros(len(samples.labels), dtype=torch.float64)
    right = samples.proved(radii)
    if not bool(right.any()):
        return radii
    samples = samples.subset(right)
    low, high = torch.zeros_like(radii[right]), _linear_distance(samples)
    growing = samples.proved(high)
    while bool(growing.any()):
        low = torch.where(growing, high, low)
        high = torch.where(growing, (2 * high).clamp(max=LARGEST_RADIUS), high)
        growing = growing & (high > low) & samples.proved(high)
    for _ in range(steps):
        middle = (low + high) / 2
        good = samples.proved(middle)
        low, high = torch.where(good, middle, low), torch.where(good, high, middle)
    radii[right] = low
    return radii


def _linear_distance(samples: _Samples) -> Tensor:
    # Where the margins would end if they went on falling as they do near the sample.
    small = samples.small()
    start, end = samples.margins(torch.zeros_like(small)), samples.margins(small)
    falls = (start - end) / small[:, None]
    distance = torch.where(falls > 0, start / falls, LARGEST_RADIUS).nan_to_num(LARGEST_RADIUS).amin(1)
    return torch.where(distance > 0, distance, small).clamp(max=LARGEST_RADIUS)
