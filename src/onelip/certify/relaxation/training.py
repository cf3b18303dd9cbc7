"""Linear relaxation in the precision of a training: differentiable in the weights, and nothing rounded outward."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from onelip.certify.relaxation.affine import (
    AffineMap,
    Convolution,
    Shape,
    conv_map,
    dense_map,
    diagonal_map,
    exact_map,
)
from onelip.certify.relaxation.region import Norm, along
from onelip.layers import ExplicitConv2d, ExplicitLinear, InvertibleDownsampling2d, Normalize, ReLU
from onelip.linalg import unknown_name

TrainingRelaxation = Literal["ibp", "crown-ibp", "kw"]

_SMALLEST = 1e-24
"""Squared norms of rows are kept above this, where their roots still have a slope."""

_REARRANGED = (nn.Flatten, nn.PixelUnshuffle, InvertibleDownsampling2d)


@dataclass(frozen=True, eq=False)
class TrainingLayer:
    """A layer as relaxations see it.

    Attributes:
        before: Shape of an input sample.
        map: Its affine map; None for ReLU.
        norms: l2 norm of each row of the map, of a shape that broadcasts to the output; None if it was not asked for.
        stretch: Lipschitz constant of maps that move or rescale entries; None for others.
    """

    before: Shape
    map: AffineMap | None
    norms: Tensor | None = None
    stretch: Tensor | None = None


@dataclass(frozen=True, eq=False)
class _Box:
    lower: Tensor
    upper: Tensor


def margin_estimates(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    radius: float,
    *,
    norm: Norm = "linf",
    method: TrainingRelaxation = "crown-ibp",
) -> Tensor:
    """Bound how far the label's logit stays above each other one in balls around samples, for training.

    Up to rounding, what `relaxed_margins` proves with `constants=False` of the frozen network: "ibp" with boxes
    throughout, "crown-ibp" with boxes for the inputs of ReLU and lines of slope 0 or 1 below it, "kw" with bounds that
    go back to the input for each ReLU and lines of the slope of the chord. Differentiable in the weights.

    Args:
        model: A chain of dense layers and convolutions, of torch or of this library, ReLU, flattening, unshuffling and
            `Normalize`.
        images: `(N, C, H, W)`.
        labels: `(N,)` int64.
        radius: Of the balls, in units of the pixels, >= 0.
        norm: Of the balls, "l2" or "linf".
        method: "ibp", "crown-ibp" or "kw".

    Returns:
        `(N, n_classes)`, an *estimate* in that nothing is rounded up or down; 0 for the label itself.

    Raises:
        ValueError: The model has another layer, or an option is unknown.

    Cost: two to three passes for "ibp", as many as there are logits for "crown-ibp"; for "kw" one for each entry in
        front of a ReLU that may change its sign, all of them in memory.
    """
    for kind, value, allowed in (("norm", norm, get_args(Norm)), ("method", method, get_args(TrainingRelaxation))):
        if value not in allowed:
            raise ValueError(unknown_name(f"{kind} of margin_estimates", str(value), allowed))
    layers = list(training_layers(model, images, norms=norm == "l2"))
    bounds = _Bounds(layers, images, radius, norm, method)
    n_classes = bounds.output.lower.shape[1]
    unit = torch.eye(n_classes, dtype=images.dtype, device=images.device)
    return bounds.least(unit[labels][:, None] - unit, len(layers), boxes=method == "ibp")


def training_layers(model: nn.Module, images: Tensor, *, norms: bool = True) -> Iterator[TrainingLayer]:
    """Take a chain of layers apart.

    Args:
        model: The network.
        images: `(N, ...)`, for shape, precision and device.
        norms: Compute the norms of rows?

    Yields:
        Its layers, without those that do nothing.

    Raises:
        ValueError: A layer is unknown.
    """
    shape = tuple(images.shape[1:])
    for module in _chain(getattr(model, "_orig_mod", model)):
        if isinstance(module, (nn.ReLU, ReLU)):
            yield TrainingLayer(shape, None)
            continue
        if isinstance(module, nn.Identity) or (isinstance(module, nn.Flatten) and len(shape) == 1):
            continue
        layer = _affine(module, shape, norms)
        yield layer
        if layer.map is not None:
            with torch.no_grad():
                shape = tuple(layer.map.apply(images.new_zeros(1, *shape)).shape[1:])


def _chain(module: nn.Module) -> Iterator[nn.Module]:
    if not isinstance(module, nn.Sequential):
        yield module
        return
    for child in module:
        yield from _chain(child)


def _affine(module: nn.Module, shape: Shape, norms: bool) -> TrainingLayer:
    if isinstance(module, (nn.Linear, ExplicitLinear)):
        weight = module.weight
        lengths = weight.square().sum(1).clamp_min(_SMALLEST).sqrt() if norms else None
        return TrainingLayer(shape, dense_map(weight).shifted(module.bias), lengths)
    if isinstance(module, (nn.Conv2d, ExplicitConv2d)):
        return _convolution(module, shape, norms)
    if isinstance(module, Normalize):
        mean, std = (values.reshape(-1, *[1] * (len(shape) - 1)) for values in (module.mean, module.std))
        return TrainingLayer(shape, diagonal_map(1 / std).shifted(-mean / std), stretch=1 / module.std.min())
    if isinstance(module, _REARRANGED):
        return TrainingLayer(shape, exact_map(module, shape), stretch=torch.ones(()))
    raise ValueError(
        f"{type(module).__name__} has no relaxation for training; use chains of dense layers, convolutions, ReLU, "
        f"Flatten, PixelUnshuffle and Normalize"
    )


def _convolution(module: nn.Conv2d | ExplicitConv2d, shape: Shape, norms: bool) -> TrainingLayer:
    if isinstance(module, nn.Conv2d):
        left, right, top, bottom = module._reversed_padding_repeated_twice
    else:
        left, right, top, bottom = module.arguments.pads
    pads = (top, bottom, left, right)
    stride, dilation = (module.stride[0], module.stride[1]), (module.dilation[0], module.dilation[1])
    geometry = Convolution(shape, stride, pads, dilation, module.groups, module.padding_mode)
    weight, lengths = module.weight, None
    if norms:
        squares = conv_map(weight.square(), geometry).apply(weight.new_ones(1, *shape))[0] * geometry.copies
        lengths = squares.clamp_min(_SMALLEST).sqrt()
    bias = None if module.bias is None else module.bias[:, None, None]
    return TrainingLayer(shape, conv_map(weight, geometry).shifted(bias), lengths)


class _Bounds:
    """What is known of the input of each layer in balls around samples."""

    def __init__(
        self, layers: list[TrainingLayer], images: Tensor, radius: float, norm: Norm, method: TrainingRelaxation
    ) -> None:
        self._layers, self._images, self._radius, self._norm = layers, images, radius, norm
        self._slopes = "parallel" if method == "kw" else "adaptive"
        self._boxes = [_Box(images - radius, images + radius)]
        # Slopes and heights of the lines around each ReLU.
        self._lines: dict[int, tuple[Tensor, Tensor, Tensor]] = {}
        spread, centre = torch.full_like(images.flatten(1)[:, 0], radius), images
        known = norm == "l2"
        for i, layer in enumerate(layers):
            if layer.map is None:
                if method == "kw" and i and not self._exact(i - 1):
                    self._boxes[i] = self._tightened(i)
                self._lines[i] = _lines(self._boxes[i], self._slopes)
                box = self._boxes[i]
                self._boxes.append(_Box(box.lower.clamp_min(0), box.upper.clamp_min(0)))
                known = False
                continue
            box = _image(layer.map, self._boxes[i])
            if known:
                centre = _shifted(layer.map, centre)
                if layer.stretch is not None:
                    spread = spread * layer.stretch
                elif layer.norms is not None:
                    box, known = _within(box, centre, along(spread, centre) * layer.norms), False
            self._boxes.append(box)

    @property
    def output(self) -> _Box:
        return self._boxes[-1]

    def _exact(self, i: int) -> bool:
        # The box of an affine map of the ball itself, as in proofs.
        return self._norm == "l2" and all(layer.stretch is not None for layer in self._layers[:i])

    def _tightened(self, i: int) -> _Box:
        # Functionals of those entries alone that may change their sign in some sample.
        box = self._boxes[i]
        lower, upper = box.lower.flatten(1), box.upper.flatten(1)
        wanted = ((lower < 0) & (upper > 0)).any(0).nonzero().flatten()
        if not len(wanted):
            return box
        rows = torch.zeros(len(wanted), lower.shape[1], dtype=lower.dtype, device=lower.device)
        rows[torch.arange(len(wanted), device=rows.device), wanted] = 1
        found = self.least(torch.cat([rows, -rows])[None].unflatten(2, box.lower.shape[1:]), i)
        nothing = torch.full_like(lower, -torch.inf)
        below, above = (nothing.index_copy(1, wanted, part) for part in found.chunk(2, 1))
        return _Box(
            torch.maximum(lower, below).reshape(box.lower.shape), torch.minimum(upper, -above).reshape(box.lower.shape)
        )

    def least(self, rows: Tensor, end: int, *, boxes: bool = False) -> Tensor:
        """Bound functionals of a value below.

        Args:
            rows: `(N, R, *shape)` coefficients, or `(1, R, *shape)` for all samples.
            end: Number of the layer whose input it is.
            boxes: Stop at the last ReLU before it, with the box there?

        Returns:
            `(N, R)`, at most the least value over the ball.
        """
        constant = rows.new_zeros(rows.shape[:2])
        for i in reversed(range(end)):
            mapping = self._layers[i].map
            if mapping is None:
                if boxes:
                    return constant + _over_box(rows, self._boxes[i + 1])
                below, above, height = (t[:, None] for t in self._lines[i])
                positive, negative = rows.clamp_min(0), rows.clamp_max(0)
                constant = constant + (negative.flatten(2) @ height.flatten(2).mT)[:, :, 0]
                rows = positive * below + negative * above
                continue
            if mapping.offset is not None:
                shape = self._boxes[i + 1].lower.shape[1:]
                constant = constant + rows.flatten(2) @ mapping.offset.expand(shape).flatten()
            rows = mapping.adjoint(rows.flatten(0, 1)).unflatten(0, rows.shape[:2])
        flat = rows.flatten(2)
        away = flat.abs().sum(2) if self._norm == "linf" else torch.linalg.vector_norm(flat, dim=2)
        return constant + (flat @ self._images.flatten(1)[:, :, None])[:, :, 0] - self._radius * away


def _shifted(mapping: AffineMap, x: Tensor) -> Tensor:
    image = mapping.apply(x)
    return image if mapping.offset is None else image + mapping.offset


def _image(mapping: AffineMap, box: _Box) -> _Box:
    centre, spread = _shifted(mapping, (box.lower + box.upper) / 2), mapping.absolute((box.upper - box.lower) / 2)
    return _Box(centre - spread, centre + spread)


def _within(box: _Box, centre: Tensor, way: Tensor) -> _Box:
    return _Box(torch.maximum(box.lower, centre - way), torch.minimum(box.upper, centre + way))


def _over_box(rows: Tensor, box: _Box) -> Tensor:
    positive, negative = rows.clamp_min(0), rows.clamp_max(0)
    return (positive * box.lower[:, None] + negative * box.upper[:, None]).flatten(2).sum(2)


def _lines(box: _Box, slopes: str) -> tuple[Tensor, Tensor, Tensor]:
    # Slope of the line below ReLU, slope and height at 0 of the one above.
    lower, upper = box.lower.clamp_max(0), box.upper.clamp_min(0)
    crosses = (box.lower < 0) & (box.upper > 0)
    chord = torch.where(crosses, upper / torch.where(crosses, upper - lower, 1.0), (box.lower >= 0).to(lower.dtype))
    below = chord if slopes == "parallel" else torch.where(crosses, (upper > -lower).to(lower.dtype), chord)
    return below, chord, torch.where(crosses, -chord * lower, 0.0)
