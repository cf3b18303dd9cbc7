"""What each plain module computes, as an operation of a frozen network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor, nn, view_as_real

from onelip import layers
from onelip.bounds.windows import pair
from onelip.layers.conv_arguments import ConvArguments
from onelip.linalg import conv_norm_bound

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Operation:
    """An operation without its place in a network.

    Attributes:
        op: Its name; "identity" for none.
        attributes: JSON values.
        tensors: Stored numbers by role.
        branch: Module inside a skip connection, with the shape of its input.
        sources: What it reads: numbers of signals of the call, or operations to do first; None for all signals.
        constant: Proved constant of this operation; None for that of the whole call.
    """

    op: str
    attributes: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    branch: tuple[nn.Module, Shape] | None = None
    sources: tuple[Operation | int, ...] | None = None
    constant: float | None = None

    def after(self, first: Operation | int) -> Operation:
        """Do another operation first.

        Args:
            first: An operation, or the number of a signal.

        Returns:
            This operation of what that one gives.
        """
        return replace(self, sources=(first,))


Exporter = Callable[[Any, Shape, Shape], Operation]

_EXPORTERS: dict[type[nn.Module], Exporter] = {}


def module_operation(module: nn.Module, before: Shape, after: Shape) -> Operation | None:
    """Describe a plain module.

    Args:
        module: The module.
        before: Shape of one input sample.
        after: Shape of one output sample.

    Returns:
        The operation, or None if a certificate cannot hold this class.
    """
    for kind in type(module).__mro__:
        if kind in _EXPORTERS:
            return _EXPORTERS[kind](module, before, after) if type(module).forward is kind.forward else None
    return None


def supported_modules() -> tuple[str, ...]:
    """List the module classes that a certificate can hold.

    Returns:
        Their names.
    """
    return tuple(sorted(kind.__name__ for kind in _EXPORTERS))


def register_exporter(exporter: Exporter, *kinds: type[nn.Module]) -> None:
    """Say how to describe modules of some classes; subclasses that keep their `forward` are described alike.

    Args:
        exporter: From the module and the shapes of one input and one output sample to its operation.
        *kinds: The classes.
    """
    _EXPORTERS.update(dict.fromkeys(kinds, exporter))


def sample_axis(dim: int, shape: Shape) -> int:
    """Count an axis from the first one behind the batch.

    Args:
        dim: Axis of a batch, negative from the back.
        shape: Shape of one sample.

    Returns:
        The axis of the sample.
    """
    return dim % (len(shape) + 1) - 1


def _exports(*kinds: type[nn.Module]) -> Callable[[Exporter], Exporter]:
    def enter(exporter: Exporter) -> Exporter:
        register_exporter(exporter, *kinds)
        return exporter

    return enter


def _bias(module: Any) -> dict[str, Tensor]:
    return {} if module.bias is None else {"bias": module.bias}


def _weights(module: Any) -> dict[str, Tensor]:
    return {"weight": module.weight} | _bias(module)


@_exports(nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)
def _identity(module: Any, before: Shape, after: Shape) -> Operation:
    return Operation("identity")


@_exports(nn.Linear)
def _linear(module: Any, before: Shape, after: Shape) -> Operation:
    return Operation("linear", {}, _weights(module))


def _geometry(a: ConvArguments) -> dict[str, Any]:
    left, right, top, bottom = a.pads
    return {"pads": [top, bottom, left, right], "dilation": list(a.dilation), "groups": a.groups}


@_exports(layers.CircularConv2d)
def _circular_conv2d(module: Any, before: Shape, after: Shape) -> Operation:
    a = module.arguments
    attributes = _geometry(a) | {"stride": list(a.stride), "padding_mode": "circular"}
    return Operation("conv2d", attributes, _weights(module))


@_exports(layers.CircularConvTranspose2d)
def _circular_conv_transpose2d(module: Any, before: Shape, after: Shape) -> Operation:
    a = module.arguments
    return Operation("circular_conv_transpose2d", _geometry(a) | {"stride": list(a.stride)}, _weights(module))


@_exports(layers.GradientResidual2d)
def _gradient_residual2d(module: Any, before: Shape, after: Shape) -> Operation:
    a = module.arguments
    return Operation("gradient_residual2d", _geometry(a) | {"padding_mode": a.padding_mode}, _weights(module))


@_exports(layers.GradientResidual1d)
def _gradient_residual1d(module: Any, before: Shape, after: Shape) -> Operation:
    return Operation("gradient_residual1d", {}, _weights(module))


@_exports(layers.SkewSeries2d)
def _skew_series2d(module: Any, before: Shape, after: Shape) -> Operation:
    a = module.arguments
    norm = conv_norm_bound(module.kernel, dilation=a.dilation, groups=a.groups)
    attributes = _geometry(a) | {
        "padding_mode": a.padding_mode,
        "coefficients": list(module.coefficients),
        "norm": norm.value,
    }
    return Operation("skew_series2d", attributes, {"weight": module.kernel} | _bias(module))


@_exports(layers.FrequencyConv2d)
def _frequency_conv2d(module: Any, before: Shape, after: Shape) -> Operation:
    return Operation("frequency_conv2d", {}, {"spectrum": module.spectrum} | _bias(module))


@_exports(layers.PeriodicSpectrumConv2d)
def _periodic_spectrum_conv2d(module: Any, before: Shape, after: Shape) -> Operation:
    spectrum = view_as_real(module.spectrum((before[-2], before[-1])))
    return Operation("frequency_conv2d", {}, {"spectrum": spectrum} | _bias(module))


@_exports(layers.Sandwich1d, layers.FrequencySandwich2d)
def _sandwich(module: Any, before: Shape, after: Shape) -> Operation:
    op = "sandwich1d" if isinstance(module, layers.Sandwich1d) else "frequency_sandwich2d"
    return Operation(op, {"outputs": module.outputs}, _weights(module))


@_exports(nn.ZeroPad2d)
def _zero_pad2d(module: Any, before: Shape, after: Shape) -> Operation:
    left, right, top, bottom = module.padding
    return Operation("zero_pad2d", {"pads": [top, bottom, left, right]})


@_exports(nn.Flatten, nn.Unflatten)
def _reshape(module: Any, before: Shape, after: Shape) -> Operation:
    return Operation("reshape", {"shape": list(after)})


@_exports(nn.PixelUnshuffle, layers.InvertibleDownsampling2d)
def _pixel_unshuffle(module: Any, before: Shape, after: Shape) -> Operation:
    return Operation("pixel_unshuffle", {"block": list(_block(module, "downscale_factor"))})


@_exports(nn.PixelShuffle, layers.InvertibleUpsampling2d)
def _pixel_shuffle(module: Any, before: Shape, after: Shape) -> Operation:
    return Operation("pixel_shuffle", {"block": list(_block(module, "upscale_factor"))})


def _block(module: Any, name: str) -> tuple[int, int]:
    return pair(getattr(module, name, None) or module.kernel_size)


@_exports(layers.ChannelPad)
def _channel_pad(module: Any, before: Shape, after: Shape) -> Operation:
    return Operation("channel_pad", {"channels": module.out_channels})


@_exports(layers.ChannelKeep)
def _channel_keep(module: Any, before: Shape, after: Shape) -> Operation:
    return Operation("slice", {"axis": 0, "start": 0, "stop": module.out_channels})


@_exports(layers.ChannelShuffle)
def _channel_shuffle(module: Any, before: Shape, after: Shape) -> Operation:
    groups = [module.group_in, module.group_out]
    return Operation("channel_shuffle", {"axis": sample_axis(module.dim, before), "groups": groups})


@_exports(nn.ChannelShuffle)
def _torch_channel_shuffle(module: Any, before: Shape, after: Shape) -> Operation:
    return Operation("channel_shuffle", {"axis": 0, "groups": [module.groups, before[0] // module.groups]})


@_exports(layers.Scale)
def _scale(module: Any, before: Shape, after: Shape) -> Operation:
    return Operation("scale", {"factor": module.factor})


@_exports(layers.Normalize)
def _normalize(module: Any, before: Shape, after: Shape) -> Operation:
    return Operation("normalize", {}, {"mean": module.mean, "std": module.std})


@_exports(layers.PositionalCode2d)
def _positional_code2d(module: Any, before: Shape, after: Shape) -> Operation:
    return Operation("shift", {}, {"value": module.code})


@_exports(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
def _batch_norm(module: Any, before: Shape, after: Shape) -> Operation:
    tensors = {"mean": module.running_mean, "variance": module.running_var}
    optional = {"weight": module.weight, "bias": module.bias}
    tensors |= {role: tensor for role, tensor in optional.items() if tensor is not None}
    return Operation("batch_norm", {"eps": float(module.eps)}, tensors)


@_exports(layers.LayerCentering)
def _center(module: Any, before: Shape, after: Shape) -> Operation:
    axes = list(range(1, len(before))) or [0]
    return Operation("center", {"axes": axes}, {} if module.bias is None else {"bias": module.bias})


@_exports(layers.ConcatResidual)
def _concat_residual(module: Any, before: Shape, after: Shape) -> Operation:
    return Operation("concat_residual", {}, {}, (module.fn, module.branch_shape(before)))


@_exports(layers.L2NormResidual)
def _l2_norm_residual(module: Any, before: Shape, after: Shape) -> Operation:
    return Operation("l2_norm_residual", {}, {}, (module.fn, before))
