"""The signal through the depth of a network: how much of the variance of the images is left after each part."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from onelip.layers import registry
from onelip.layers.constrained import ConstrainedModule
from onelip.layers.leaf import Activation
from onelip.layers.plain import evaluating
from onelip.pictures.depth_plot import draw_activity, draw_variance

THRESHOLDS = tuple(k / 50 for k in range(51))
"""Shares of the images at which units are counted."""

COLLAPSE_BELOW = 0.01
"""A part with less than so much of the variance of the images is said to have lost the signal."""

_SILENT = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)


@dataclass(frozen=True)
class PartActivity:
    """What the images do to the outputs of one part; a unit is one entry of an output.

    Attributes:
        name: Qualified name of the module; of a second call, followed by " (2)".
        kind: Its class.
        shape: Shape of one output.
        activation: Is it an activation?
        variance: Mean over the units of the variance over the images, in squared units of the output.
        ratio: Sum over the units of that variance, divided by the same sum of the network's input. At most L^2 if L
            is the l2 Lipschitz constant from the input to here, since the sum is half the mean squared distance of
            two images.
        constant: Share of the units that are the same for all images: they carry nothing.
        dead: Share of the units that are never positive.
        active: At each threshold t, the share of the units that are positive on at least t of the images.
        collapsed: Is the ratio below the limit, or not a number?
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    activation: bool
    variance: float
    ratio: float
    constant: float
    dead: float
    active: tuple[float, ...]
    collapsed: bool


@dataclass(frozen=True)
class DepthProfile:
    """The variance of images through the depth of a network.

    Attributes:
        parts: In order of execution.
        input_variance: Mean over the entries of the variance of the input.
        thresholds: Shares of the images, rising, at which `active` counts.
        n_images: How many images.
        collapse_below: Limit of the ratio below which a part is said to have collapsed.
    """

    parts: tuple[PartActivity, ...]
    input_variance: float
    thresholds: tuple[float, ...]
    n_images: int
    collapse_below: float

    @property
    def first_collapsed(self) -> PartActivity | None:
        """The first part that has lost the signal, or None."""
        return next((part for part in self.parts if part.collapsed), None)

    def plot(self, path: str | Path) -> None:
        """Draw the ratio of the variances after each part on a logarithmic axis; needs matplotlib.

        Args:
            path: Where; the ending, such as .png, .svg or .pdf, says in which format.
        """
        draw_variance(
            [part.name for part in self.parts], [part.ratio for part in self.parts], path, limit=self.collapse_below
        )

    def plot_activity(self, path: str | Path, *, n: int | None = 8) -> None:
        """Draw for activations how many units are positive on at least a share of the images; needs matplotlib.

        Args:
            path: Where; the ending, such as .png, .svg or .pdf, says in which format.
            n: How many activations at most, spread evenly over the depth; None for all.
        """
        chosen = self.activations(n)
        draw_activity(self.thresholds, [(part.name, part.active) for part in chosen], path)

    def activations(self, n: int | None = None) -> tuple[PartActivity, ...]:
        """Choose the activations, or all parts of a network without a module for one.

        Args:
            n: How many at most, spread evenly over the depth; None for all.

        Returns:
            The parts, in order of execution.
        """
        found = [part for part in self.parts if part.activation] or list(self.parts)
        if n is None or len(found) <= n:
            return tuple(found)
        return tuple(found[round(k * (len(found) - 1) / max(1, n - 1))] for k in range(n))


def depth_profile(
    model: nn.Module, images: Tensor, *, collapse_below: float = COLLAPSE_BELOW, batch_size: int = 128
) -> DepthProfile:
    """Measure the variance over images of the outputs of each part of a network, and which units take part.

    Parts are the modules without parts of their own, the layers of this library, and modules that do something
    with the outputs of their parts, such as residual blocks. What functions do in between shows at the next part.

    Args:
        model: Any network of modules that map batches to tensors; evaluated in eval mode and left as it was.
        images: `(N, ...)` with N >= 2 that are not all equal.
        collapse_below: Limit of the ratio of variances below which a part is said to have collapsed, >= 0.
        batch_size: How many images at a time.

    Returns:
        The profile.

    Raises:
        ValueError: If there are too few images, all are equal, an argument is out of range, or the network runs other
            parts for some images than for others.
    """
    if len(images) < 2 or batch_size < 1 or not collapse_below >= 0:
        raise ValueError(
            f"images={len(images)}, batch_size={batch_size}, collapse_below={collapse_below} in depth_profile must be "
            "at least 2, 1 and 0"
        )
    recorder = _Recorder()
    source = _Unit(_whole("input", model))
    with evaluating(model), torch.no_grad(), recorder.following(model):
        for batch in images.split(batch_size):
            recorder.start(len(batch))
            source.add(batch)
            model(batch)
            recorder.finish()
    total = source.total
    if not total > 0:
        raise ValueError("images in depth_profile are all equal, so there is no variance to follow")
    parts = tuple(unit.summary(total, collapse_below) for unit in recorder.units)
    return DepthProfile(parts, total / images[0].numel(), THRESHOLDS, len(images), collapse_below)


@dataclass(frozen=True)
class _Place:
    name: str
    kind: str
    activation: bool


def _whole(name: str, module: nn.Module) -> _Place:
    return _Place(name, type(module).__name__, _is_activation(module))


def _is_activation(module: nn.Module) -> bool:
    registered = tuple(record.factory for record in registry.records("activation"))
    return isinstance(module, (Activation, *registered)) or type(module).__module__ == "torch.nn.modules.activation"


class _Unit:
    """Moments of the outputs of one part, batch by batch (Chan, Golub and LeVeque 1979)."""

    def __init__(self, place: _Place) -> None:
        self.place, self.n = place, 0
        self.mean, self.squares, self.low, self.high, self.positive = (torch.zeros(()) for _ in range(5))
        self.shape: tuple[int, ...] = ()

    def add(self, output: Tensor) -> None:
        values = output.detach().double().flatten(1)
        n, self.shape = len(values), tuple(output.shape[1:])
        mean = values.mean(0)
        squares, positive = (values - mean).square().sum(0), (values > 0).sum(0)
        low, high = values.amin(0), values.amax(0)
        if self.n == 0:
            self.mean, self.squares, self.positive, self.low, self.high = mean, squares, positive, low, high
        else:
            shift, total = mean - self.mean, self.n + n
            self.squares = self.squares + squares + shift.square() * (self.n * n / total)
            self.mean = self.mean + shift * (n / total)
            self.positive = self.positive + positive
            self.low, self.high = torch.minimum(self.low, low), torch.maximum(self.high, high)
        self.n += n

    @property
    def total(self) -> float:
        return float(self.squares.sum()) / self.n

    def summary(self, total: float, limit: float) -> PartActivity:
        ratio, n_units = self.total / total, self.squares.numel()
        least = torch.tensor([t * self.n for t in THRESHOLDS], dtype=torch.float64, device=self.positive.device)
        # A share of the images such as 0.3 of 10 is no whole number of them by an ulp.
        counts = (self.positive[None] >= least[:, None] - 1e-9).double().mean(1)
        return PartActivity(
            name=self.place.name,
            kind=self.place.kind,
            shape=self.shape,
            activation=self.place.activation,
            variance=self.total / n_units,
            ratio=ratio,
            constant=float((self.low == self.high).double().mean()),
            dead=float((self.positive == 0).double().mean()),
            active=tuple(counts.tolist()),
            collapsed=not ratio >= limit,
        )


class _Recorder:
    def __init__(self) -> None:
        self.units: list[_Unit] = []
        self._next, self._batch, self._seen = 0, 0, 0
        self._last: Any = None

    def start(self, n: int) -> None:
        self._next, self._batch, self._last = 0, n, None

    def finish(self) -> None:
        if self._next != len(self.units):
            raise ValueError("model in depth_profile runs other parts for some images than for others")
        self._last = None
        self._seen += 1

    def take(self, place: _Place, leaf: bool, output: Any) -> None:
        # What a container gives back as it came is counted at the part that made it.
        if not isinstance(output, Tensor) or (not leaf and output is self._last):
            return
        if not output.is_floating_point() or output.dim() < 1 or len(output) != self._batch:
            return
        self._last = output
        if self._next == len(self.units) and self._seen == 0:
            calls = sum(unit.place.name.partition(" (")[0] == place.name for unit in self.units)
            name = place.name if calls == 0 else f"{place.name} ({calls + 1})"
            self.units.append(_Unit(_Place(name, place.kind, place.activation)))
        elif self._next == len(self.units) or self.units[self._next].place.name.partition(" (")[0] != place.name:
            raise ValueError("model in depth_profile runs other parts for some images than for others")
        self.units[self._next].add(output)
        self._next += 1

    @contextmanager
    def following(self, model: nn.Module) -> Iterator[None]:
        handles = []
        try:
            for name, module, leaf in _followed(model):
                handles.append(module.register_forward_hook(self._hook(_whole(name, module), leaf)))
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _hook(self, place: _Place, leaf: bool) -> Callable[[nn.Module, Any, Any], None]:
        return lambda module, arguments, output: self.take(place, leaf, output)


def _followed(model: nn.Module) -> Iterator[tuple[str, nn.Module, bool]]:
    # A module that is used under two names is followed under the first one.
    seen: set[int] = set()

    def walk(name: str, module: nn.Module) -> Iterator[tuple[str, nn.Module, bool]]:
        if id(module) in seen or isinstance(module, _SILENT):
            return
        seen.add(id(module))
        inner = [] if isinstance(module, ConstrainedModule) else list(module.named_children())
        inner = [(key, child) for key, child in inner if key != "parametrizations"]
        yield name or type(module).__name__, module, not inner
        for key, child in inner:
            yield from walk(f"{name}.{key}" if name else key, child)

    return walk("", model)
