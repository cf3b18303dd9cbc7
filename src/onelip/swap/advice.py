"""What the modules that stay do to the constant, and what to use instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from onelip import layers
from onelip.bounds.activation_rules import GELU, HARD_SWISH, MISH, SELU, SILU, TANH_GELU
from onelip.bounds.refusals import reason
from onelip.bounds.registry import has_module_rule
from onelip.bounds.windows import max_repeats, pair

Advice = tuple[str, str]
"""The problem, and what to use instead."""

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
_SAMPLE_NORMS = (
    nn.LayerNorm, nn.GroupNorm, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d, nn.RMSNorm,
    nn.LocalResponseNorm,
)  # fmt: skip
_ATTENTION = (
    nn.MultiheadAttention, nn.Transformer, nn.TransformerEncoder, nn.TransformerEncoderLayer, nn.TransformerDecoder,
    nn.TransformerDecoderLayer,
)  # fmt: skip
_CONVOLUTIONS = (nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose3d)
_AVERAGES = (nn.AvgPool1d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool1d)
_REPEATING_PADS = (nn.ReflectionPad1d, nn.ReflectionPad2d, nn.ReplicationPad1d, nn.ReplicationPad2d)
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)

STAY_WHOLE = _ATTENTION
"""Modules whose parts are not replaced, since they read the weights of their parts themselves."""


def advice(module: nn.Module) -> Advice | None:
    """Say what a module that was not replaced does to the network's constant.

    Args:
        module: A module; what it holds is not looked at.

    Returns:
        The problem and the remedy, or None if there is nothing to say.
    """
    if hasattr(module, "lipschitz_bound"):
        return None
    for classes, rule in _RULES:
        if isinstance(module, classes):
            return rule(module)
    if type(module).__module__.startswith("torch.nn"):
        words = reason(type(module))
        if words is None and (isinstance(module, _CONTAINERS) or has_module_rule(module)):
            return None
        because = "" if words is None else f": {words}"
        return f"it has no known Lipschitz constant{because}", "onelip.register_bound, if you can prove one"
    own = [name for name, _ in module.named_parameters(recurse=False)]
    if own and not has_module_rule(module):
        named = ", ".join(own)
        return f"it has parameters of its own, {named}, which are not constrained", "modules that hold such weights"
    return None


def _batch_norm(_: Any) -> Advice:
    return (
        "it divides by running deviations and multiplies by learned weights, so its constant is what they happen to be",
        f"no normalisation, or {_normalizations()}; its mean and scale can be folded into the layer before it",
    )


def _sample_norm(_: Any) -> Advice:
    problem = "it divides by the sample's own deviation, so it has no useful constant"
    return problem, f"no normalisation, or {_normalizations()}"


def _normalizations() -> str:
    names = layers.available("normalization")
    return " or ".join(f"layers.normalization({name!r}, channels)" for name in names) or "a layer that only centres"


def _attention(_: Any) -> Advice:
    return "products of its input with itself have unbounded derivatives", "convolutions or dense layers"


def _recurrent(_: Any) -> Advice:
    return "its constant grows with the length of the sequence and is not known", "convolutions along the sequence"


def _convolution(module: Any) -> Advice:
    name = type(module).__name__
    return f"there is no constrained form of {name}", "1-D or 2-D layers along its axes, one after the other"


def _max_pool(module: Any) -> Advice | None:
    kernel, stride, dilation = (pair(v) for v in (module.kernel_size, module.stride, module.dilation))
    factor = 1
    for axis in zip(kernel, stride, dilation, strict=True):
        factor *= max_repeats(*axis)
    if isinstance(module, nn.MaxPool1d):
        factor = max_repeats(kernel[0], stride[0], dilation[0])
    if factor == 1:
        return None
    problem = f"windows overlap: a pixel is in up to {factor} of them, so the constant is up to sqrt({factor})"
    return problem, "a kernel_size equal to the stride, or layers.ScaledAvgPool2d or layers.L2NormPool2d"


def _adaptive_max_pool(_: Any) -> Advice:
    problem = "windows overlap wherever the output size does not divide the image, and the constant exceeds 1 there"
    return problem, "an output size that divides the image, or layers.AdaptiveL2NormPool2d"


def _average(module: Any) -> Advice:
    adaptive = isinstance(module, (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d))
    name = "AdaptiveScaledAvgPool2d" if adaptive else "ScaledAvgPool2d"
    problem = "its constant is below 1: averages over n pixels shrink signals and margins by up to sqrt(n)"
    return problem, f"layers.{name}, of constant 1"


def _padding(_: Any) -> Advice:
    return "it copies pixels, so the constant exceeds 1", "nn.ZeroPad2d, or circular padding in the convolution"


def _upsample(_: Any) -> Advice:
    problem = "it copies or interpolates pixels: the constant is the root of the number of copies"
    return problem, "layers.InvertibleUpsampling2d, or layers.Scale(1 / factor) after it"


def _embedding(_: Any) -> Advice:
    return "its input is a number of a row, so no constant exists; its rows may be far apart", "nothing before it"


def _steep(constant: float) -> Callable[[Any], Advice]:
    def rule(module: Any) -> Advice:
        value = TANH_GELU if getattr(module, "approximate", "none") == "tanh" else constant
        return f"its constant is {value}", "activation='maxmin', or another registered activation"

    return rule


def _sloped(module: Any) -> Advice | None:
    slope = _largest_slope(module)
    if slope <= 1:
        return None
    return f"its constant is {slope:.4g}", "activation='maxmin', or a slope of at most 1"


def _largest_slope(module: Any) -> float:
    if isinstance(module, nn.PReLU):
        return 1.0 if module.weight.is_meta else float(module.weight.detach().abs().max())
    return abs(float(module.alpha if isinstance(module, nn.ELU) else module.negative_slope))


_RULES: tuple[tuple[tuple[type[nn.Module], ...], Callable[[Any], Advice | None]], ...] = (
    (_BATCH_NORMS, _batch_norm),
    (_SAMPLE_NORMS, _sample_norm),
    (_ATTENTION, _attention),
    ((nn.RNNBase, nn.RNNCellBase), _recurrent),
    (_CONVOLUTIONS, _convolution),
    ((nn.MaxPool1d, nn.MaxPool2d), _max_pool),
    ((nn.AdaptiveMaxPool2d,), _adaptive_max_pool),
    (_AVERAGES, _average),
    (_REPEATING_PADS, _padding),
    ((nn.Upsample,), _upsample),
    ((nn.Embedding, nn.EmbeddingBag), _embedding),
    ((nn.GELU,), _steep(GELU)),
    ((nn.SiLU,), _steep(SILU)),
    ((nn.Mish,), _steep(MISH)),
    ((nn.SELU,), _steep(SELU)),
    ((nn.Hardswish,), _steep(HARD_SWISH)),
    ((nn.ELU, nn.LeakyReLU, nn.PReLU), _sloped),
)
