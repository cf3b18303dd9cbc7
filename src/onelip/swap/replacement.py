"""Build the constrained layer that takes the place of a dense layer or a convolution, and give it the weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from onelip import layers
from onelip.layers import ConstrainedModule, LayerRecord
from onelip.layers.channels import fit_channels
from onelip.swap.affine import AffineMap, embedded, without_stride

_PLAIN = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, layers.CircularConvTranspose2d)


@dataclass(frozen=True, eq=False)
class Replacement:
    """A constrained layer in place of an ordinary one.

    Attributes:
        module: The layer, with what changes the number of channels or pixels around it.
        layer: The layer itself.
        weight_change: As in `Replaced`.
        direction_kept: As in `Replaced`.
        remarks: What else is different.
    """

    module: nn.Module
    layer: nn.Module
    weight_change: float | None
    direction_kept: float | None
    remarks: tuple[str, ...]


def replacement(old: AffineMap, record: LayerRecord, padding: str | None) -> Replacement:
    """Build a registered layer with the arguments and, as nearly as it can, the weights of an ordinary one.

    Args:
        old: The ordinary layer.
        record: The method.
        padding: The padding mode to use; None for the layer's own.

    Returns:
        The layer, in eval mode, on the device and in the precision of the old one.

    Raises:
        ValueError: If the method cannot be used with these arguments; the message is the method's own.
    """
    refusal: ValueError | None = None
    for attempt, remarks in _attempts(old, record, padding):
        try:
            module, layer, used = _built(attempt, record)
        except ValueError as error:
            refusal = refusal or error
            continue
        if refusal is not None:
            remarks = (*remarks, f"since {refusal}")
        if used is not attempt:
            remarks = (*remarks, f"stride {old.stride} became InvertibleDownsampling2d and a convolution of stride 1")
        change, kept, more = _give_weights(layer, used)
        module = module.eval().to(old.weight.dtype)
        return Replacement(module, layer, change, kept, (*remarks, *more))
    raise refusal or ValueError(f"padding={padding!r} is not allowed by {record.name!r}")


def takers(old: AffineMap, padding: str | None) -> tuple[str, ...]:
    """List the registered methods that could take a layer's place.

    Args:
        old: The ordinary layer.
        padding: The padding mode to use; None for the layer's own.

    Returns:
        Names, sorted.
    """
    ghost = AffineMap(old.kind, old.inputs, old.outputs, old.options, old.weight.to("meta"), old.bias)
    names = []
    for record in layers.records(old.kind):
        for attempt, _ in _attempts(ghost, record, padding):
            try:
                _built(attempt, record)
            except ValueError:
                continue
            names.append(record.name)
            break
    return tuple(names)


def _attempts(old: AffineMap, record: LayerRecord, padding: str | None) -> Iterator[tuple[AffineMap, tuple[str, ...]]]:
    if old.kind == "linear":
        yield old, ()
        return
    own = old.options["padding_mode"]
    wanted = own if padding is None else padding
    if old.kind == "conv_transpose2d" and not _same_size_in_a_circle(old):
        wanted = own
    padded = old.options["padding"] not in (0, (0, 0), "valid")
    changed = (f"padding_mode {own!r} became {wanted!r}",) if padded and wanted != own else ()
    yield old.with_options(padding_mode=wanted), changed
    if wanted != own and own in record.paddings:
        yield old, (f"padding_mode stays {own!r}",)


def _same_size_in_a_circle(old: AffineMap) -> bool:
    # A circular transposed convolution returns stride times the size of its input.
    names = ("kernel_size", "stride", "padding", "dilation", "output_padding")
    axes = zip(*(old.options[name] for name in names), strict=True)
    return all(extra == 0 and d * (k - 1) + 1 - 2 * p == s for k, s, p, d, extra in axes)


def _built(old: AffineMap, record: LayerRecord) -> tuple[nn.Module, nn.Module, AffineMap]:
    strided = old.kind == "conv2d" and max(old.stride) > 1
    if record.strides or not strided:
        try:
            return *_fitted(old, record), old
        except ValueError as refusal:
            if not strided:
                raise
            try:
                return _after_downsampling(old, record)
            except ValueError:
                raise refusal from None
    return _after_downsampling(old, record)


def _after_downsampling(old: AffineMap, record: LayerRecord) -> tuple[nn.Module, nn.Module, AffineMap]:
    blocks = without_stride(old)
    module, layer = _fitted(blocks, record)
    down = layers.InvertibleDownsampling2d((old.stride[0], old.stride[1]))
    return nn.Sequential(down, module), layer, blocks


def _fitted(old: AffineMap, record: LayerRecord) -> tuple[nn.Module, nn.Module]:
    width = max(old.inputs, old.outputs)
    fitted = record.square and old.inputs != old.outputs
    if fitted and old.groups > 1:
        raise ValueError(
            f"groups={old.groups} with in_channels={old.inputs} and out_channels={old.outputs} has no place in "
            f"{record.factory.__name__}, which keeps the number of channels"
        )
    sizes = (width, width) if fitted else (old.inputs, old.outputs)
    make: Any = record.factory
    layer: nn.Module = make(
        *sizes,
        **old.options,
        bias=old.bias is not None,
        device=old.weight.device,
        # In float32 at least: the set is reached in that precision, whatever the weights are stored in.
        dtype=torch.promote_types(old.weight.dtype, torch.float32),
    )
    return fit_channels(layer, old.inputs, width, old.outputs) if fitted else layer, layer


def _give_weights(layer: Any, old: AffineMap) -> tuple[float | None, float | None, tuple[str, ...]]:
    layer.eval()
    remarks = [] if old.bias is None else _give_bias(layer, old.bias)
    if old.weight.is_meta:
        return None, None, (*remarks, "its weights are on the meta device, so none were given")
    weight = _weight_for(layer, old)
    if weight is None:
        return None, None, (*remarks, f"starts fresh: {type(layer).__name__} takes no such weight")
    layer.weight = weight
    if not _is_the_map_of(layer, old):
        note = f"another map: {type(layer).__name__} holds the weight inside, so the function is not near the old one"
        return None, None, (*remarks, note)
    new, given = layer.weight.detach().double(), weight.double()
    length = float(torch.linalg.vector_norm(given))
    if length == 0:
        return None, None, (*remarks, "the weight was zero")
    change = float(torch.linalg.vector_norm(new - given)) / length
    norm = float(torch.linalg.vector_norm(new))
    return change, float((new * given).sum()) / length / norm if norm else 0.0, tuple(remarks)


def _weight_for(layer: Any, old: AffineMap) -> Tensor | None:
    assigned = getattr(type(layer), "weight", None)
    if not isinstance(assigned, property) or assigned.fset is None:
        return None
    shape = tuple(layer.weight.shape)
    if old.groups > 1 and shape != tuple(old.weight.shape):
        return None
    return embedded(old.weight, shape)


def _is_the_map_of(layer: Any, old: AffineMap) -> bool:
    if not isinstance(layer, ConstrainedModule) or layer.weight.shape != old.weight.shape:
        return False
    try:
        return isinstance(layer.to_plain(), _PLAIN)
    except ValueError:  # a plain form that is tied to an image size
        return False


def _give_bias(layer: Any, bias: Tensor) -> list[str]:
    place = getattr(layer, "bias", None)
    if not isinstance(place, Tensor) or place.dim() != 1 or len(place) < len(bias):
        return ["the bias starts fresh"]
    if not bias.is_meta:
        with torch.no_grad():
            place.zero_()
            place[: len(bias)].copy_(bias)
    return []
