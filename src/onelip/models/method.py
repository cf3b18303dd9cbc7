"""Which method makes the convolutions, dense layers and activations of a network."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import nn

from onelip import layers
from onelip.layers.channels import fit_channels
from onelip.linalg import unknown_name

PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]

PLAIN = "plain"
"""The name of unconstrained torch layers."""

# Orthogonal dense layers, for convolutions whose method has no dense form.
_PARTNERS = ("polar-express", "bjorck")


@dataclass(frozen=True)
class Method:
    """How a network's parts are made.

    Attributes:
        layer: Registered convolution, or "plain" for `nn.Conv2d` (a network without convolutions may also have a
            registered dense layer here).
        linear: Registered dense layer, or "plain" for `nn.Linear`.
        activation: Registered activation.
        layer_options: The own options of the convolution, or of the dense layer where `layer` is one.
    """

    layer: str
    linear: str
    activation: str
    layer_options: Mapping[str, Any] = field(default_factory=dict)

    def conv2d(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        padding_mode: PaddingMode = "circular",
        groups: int = 1,
        bias: bool = True,
        suggested: Mapping[str, Any] | None = None,
    ) -> nn.Module:
        """Make a convolution that keeps the image size, or divides it by its stride.

        A method that must keep the number of channels is wrapped: zero channels are appended, or the last ones dropped.

        Args:
            in_channels: Channels of the input.
            out_channels: Channels of the output.
            kernel_size: Side of the kernel.
            stride: Distance of the outputs.
            padding_mode: How to pad, where the method allows it.
            groups: Groups of channels, a common divisor.
            bias: Is there a bias?
            suggested: Options for those methods that have them, where `layer_options` says nothing.

        Returns:
            The layer.

        Raises:
            ValueError: The method has no convolution, or none with this stride and kernel.
        """
        allowed: tuple[str, ...] = (padding_mode,)
        if self.layer != PLAIN:
            allowed = self._convolution(stride).paddings
        return self.exact_conv2d(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=_padding(kernel_size, stride),
            padding_mode=padding_mode if padding_mode in allowed else allowed[0],
            groups=groups,
            bias=bias,
            **{k: v for k, v in _known("conv2d", self.layer, suggested).items() if k not in self.layer_options},
        )

    def patch_conv2d(
        self, in_channels: int, out_channels: int, patch: tuple[int, int], *, groups: int = 1, bias: bool = True
    ) -> nn.Module:
        """Make a convolution whose kernel is as large as its stride: each patch of the image becomes a pixel.

        It is a 1x1 convolution on the image whose patches were moved into channels, so methods without strides make it
        too, and none has parameters that it does not use.

        Args:
            in_channels: Channels of the input.
            out_channels: Channels of the output.
            patch: Height and width of the kernel; a divisor of the image's.
            groups: Groups of channels, a common divisor.
            bias: Is there a bias?

        Returns:
            The layer.
        """
        wide = in_channels * patch[0] * patch[1]
        conv = self.conv2d(wide, out_channels, 1, groups=groups, bias=bias)
        return nn.Sequential(layers.InvertibleDownsampling2d(patch), conv)

    def exact_conv2d(self, in_channels: int, out_channels: int, kernel_size: int, **arguments: Any) -> nn.Module:
        """Make a convolution with the arguments that are given, for networks that are about them.

        A method that must keep the number of channels is wrapped as by `conv2d`.

        Args:
            in_channels: Channels of the input.
            out_channels: Channels of the output.
            kernel_size: Side of the kernel.
            **arguments: Others of `nn.Conv2d`.

        Returns:
            The layer.

        Raises:
            ValueError: The method has no convolution, or none with these arguments.
        """
        if self.layer == PLAIN:
            return nn.Conv2d(in_channels, out_channels, kernel_size, **arguments)
        record = self._convolution(arguments.get("stride", 1))
        options = {**self.layer_options, **arguments}
        if not record.square:
            return layers.conv2d(self.layer, in_channels, out_channels, kernel_size, **options)
        width = max(in_channels, out_channels)
        return fit_channels(
            layers.conv2d(self.layer, width, width, kernel_size, **options), in_channels, width, out_channels
        )

    def _convolution(self, stride: int) -> layers.LayerRecord:
        usable = [r.name for r in layers.records("conv2d") if r.strides or stride == 1]
        if self.layer not in usable:
            which = "convolution" if stride == 1 else f"convolution of stride {stride}"
            names = ", ".join((*usable, PLAIN))
            raise ValueError(f"layer={self.layer!r} has no {which}, which this model needs; use one of {names}")
        return layers.record("conv2d", self.layer)

    def dense(
        self,
        in_features: int,
        out_features: int,
        *,
        name: str | None = None,
        bias: bool = True,
        suggested: Mapping[str, Any] | None = None,
    ) -> nn.Module:
        """Make a dense layer; a method that must keep the number of features is wrapped like a convolution.

        Args:
            in_features: Size of the input.
            out_features: Size of the output.
            name: Another method than `linear`.
            bias: Is there a bias?
            suggested: Options for those methods that have them.

        Returns:
            The layer.
        """
        name = name or self.linear
        if name == PLAIN:
            return nn.Linear(in_features, out_features, bias)
        options = _known("linear", name, suggested)
        if name == self.layer and _kind(name) == "linear":
            options |= self.layer_options
        if not layers.record("linear", name).square:
            return layers.linear(name, in_features, out_features, bias=bias, **options)
        width = max(in_features, out_features)
        layer = layers.linear(name, width, width, bias=bias, **options)
        return fit_channels(layer, in_features, width, out_features)

    def takes(self, option: str) -> bool:
        """Does the method of the convolutions or that of the dense layers have an option of this name?

        Args:
            option: Its name, such as "rank_ratio".

        Returns:
            The answer.
        """
        return option in (*_own_options("conv2d", self.layer), *_own_options("linear", self.linear))

    def act(self, channels: int) -> nn.Module:
        """Make an activation that keeps the number of channels; zeros stand in for those that it drops.

        Args:
            channels: Channels or features it acts on.

        Returns:
            The layer.

        Raises:
            ValueError: It gives more channels than it takes, which `widening_act` is for.
        """
        layer, kept = self.widening_act(channels)
        if kept > channels:
            raise ValueError(
                f"activation={self.activation!r} gives {kept} channels for {channels}, which this model has no room "
                f"for; use another one, or the model 'l2nnn'"
            )
        return fit_channels(layer, channels, kept, channels)

    def widening_act(self, channels: int) -> tuple[nn.Module, int]:
        """Make an activation as it is, for networks whose next layer takes as many channels as it gives.

        Args:
            channels: Channels or features it acts on.

        Returns:
            The layer, and how many channels it gives.
        """
        layer = layers.activation(self.activation, channels)
        return layer, layer.output_channels(channels) if isinstance(layer, layers.Activation) else channels


def _padding(kernel_size: int, stride: int) -> int | str:
    if kernel_size % 2:
        return kernel_size // 2
    if stride == 1:
        return "same"
    if kernel_size < stride or (kernel_size - stride) % 2:
        raise ValueError(f"kernel_size={kernel_size} with stride={stride} must be odd, or even like the stride")
    return (kernel_size - stride) // 2


def choose_method(
    layer: str, linear: str | None, activation: str, layer_options: Mapping[str, Any] | None = None
) -> Method:
    """Check the names of a method and find the dense layer that goes with a convolution.

    Args:
        layer: Registered convolution or dense layer, or "plain".
        linear: Registered dense layer or "plain"; by default the one named like `layer`, or, if there is none, an
            orthogonal one.
        activation: Registered activation.
        layer_options: Options of the method `layer`, such as `{"rank": "free"}`: of its convolution, if it has one.

    Returns:
        The method.

    Raises:
        ValueError: A name is unknown, or an option is none of the method's own.
    """
    dense = layers.available("linear")
    known: dict[str, Any] = {
        "layer": (layer, {*layers.available("conv2d"), *dense, PLAIN}),
        "activation": (activation, layers.available("activation")),
    }
    if linear is not None:
        known["linear layer"] = (linear, {*dense, PLAIN})
    for kind, (name, allowed) in known.items():
        if name not in allowed:
            raise ValueError(unknown_name(kind, name, allowed))
    if linear is None:
        linear = layer if layer in (*dense, PLAIN) else next(name for name in _PARTNERS if name in dense)
    options = dict(layer_options or {})
    _check_options(layer, options)
    return Method(layer, linear, activation, options)


def _kind(layer: str) -> Literal["conv2d", "linear"]:
    return "linear" if layer in layers.available("linear") and layer not in layers.available("conv2d") else "conv2d"


def _own_options(kind: Literal["conv2d", "linear"], name: str) -> tuple[str, ...]:
    if name not in layers.available(kind):
        return ()
    parameters = inspect.signature(layers.record(kind, name).factory).parameters.values()
    return tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)


def _known(kind: Literal["conv2d", "linear"], name: str, suggested: Mapping[str, Any] | None) -> dict[str, Any]:
    own = _own_options(kind, name) if suggested else ()
    return {option: value for option, value in (suggested or {}).items() if option in own}


def _check_options(layer: str, options: Mapping[str, Any]) -> None:
    own = _own_options(_kind(layer), layer)
    for name, value in options.items():
        if name not in own:
            allowed = ", ".join(own) or "none"
            raise ValueError(f"{name}={value!r} is not an option of layer {layer!r}; its options: {allowed}")
