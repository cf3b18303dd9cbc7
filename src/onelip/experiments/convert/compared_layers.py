"""Weights of the layers of "1-Lipschitz Layers Compared"."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from onelip.experiments.convert.layer_rules import Loaded, Source, assign_nearest_, put_, register_rule
from onelip.experiments.errors import UserError
from onelip.linalg import transpose
from onelip.linalg.gram_iteration import gram_norm

_EPSILON = 1e-6
"""What their SLL adds to |q|."""

ORIGINAL = "parametrizations.weight.original"
"""What torch calls the parameter behind a parametrised weight."""


def fit_kernel(layer: nn.Module, kernel: Tensor) -> Tensor:
    """Take a 1x1 kernel as a matrix where the layer is dense.

    Args:
        layer: The layer that it is for.
        kernel: (out, in, kh, kw).

    Returns:
        The kernel, or the matrix.
    """
    dense = getattr(layer, "raw_weight", kernel).dim() == 2
    return kernel[:, :, 0, 0] if dense and kernel.dim() == 4 and kernel.shape[2:] == (1, 1) else kernel


@register_rule("AOLConv2d", "AOLConv2dDirac", "AOLConv2dOrth", into=("AOLConv2d", "AOLLinear"))
def _aol(layer: Any, source: Source) -> Loaded:
    kernel = source.tensor(ORIGINAL)
    if kernel.shape[0] < kernel.shape[1]:
        raise UserError(f"{source.where}, a {source.name}, rescales its inputs, and AOLConv2d its fewer outputs")
    put_(layer, source, {"raw_weight": fit_kernel(layer, kernel), "bias": source.bias})
    return Loaded(True)


# Their kernels are H (S_0|w)(S_1|h)(S_2|w)..., transposed unless outputs are fewer; 1x1 square ones they leave as H.
@register_rule("BCOP", into=("BCOPConv2d",))
def _bcop(layer: Any, source: Source) -> Loaded:
    matrices = source.tensor("param_matrices")
    if not (layer.square and layer.width_first and layer.rank == "half"):
        raise UserError(f"{source.where}, a BCOP, needs square=True and width_first=True of BCOPConv2d")
    as_it_is = len(matrices) == 1 and layer.in_channels == layer.out_channels
    values: dict[str, Tensor | None] = {
        "raw_weight": (matrices[0] if as_it_is else matrices[0].T)[None],
        "raw_frames": matrices[1:, None] if len(matrices) > 1 else None,
        "bias": source.bias,
    }
    put_(layer, source, values)
    return Loaded(True)


@register_rule("BCOP head", into=("BjorckLinear",))
def _bcop_head(layer: Any, source: Source) -> Loaded:
    put_(layer, source, {"raw_weight": source.tensor("param_matrices")[0], "bias": source.bias})
    return Loaded(True)


@register_rule("CayleyConv", into=("CayleyConv2d",))
def _cayley(layer: Any, source: Source) -> Loaded:
    weight = source.tensor("weight")
    length, note = _length(source, weight)
    put_(layer, source, {"raw_weight": weight, "length": length, "bias": source.bias})
    return Loaded(True, note)


@register_rule("CayleyLinear", into=("CayleyLinear",))
def _cayley_linear(layer: Any, source: Source) -> Loaded:
    length = source.tensor("alpha").reshape(())
    put_(layer, source, {"raw_weight": source.tensor("weight"), "length": length, "bias": source.bias})
    return Loaded(True)


# Theirs is the length of the half spectrum that a real transform keeps, ours that of the kernel.
def _length(source: Source, weight: Tensor) -> tuple[Tensor, str]:
    if "alpha" not in source.tensors:
        return weight.norm(), f"{source.where}: no alpha in the checkpoint; taken as the norm that it begins with"
    if source.image_size is None:
        raise UserError(
            f"{source.where}, a {source.name}, needs image_size, which the scale of its spectrum depends on"
        )
    spectrum = torch.fft.rfft2(weight, source.image_size)
    return source.tensor("alpha").reshape(()) * weight.norm() / spectrum.norm(), ""


@register_rule("CPLConv2d", "CPLConv2d10k", into=("CPLConv2d", "CPLLinear"))
def _cpl(layer: Any, source: Source) -> Loaded:
    kernel = fit_kernel(layer, source.tensor("kernel"))
    put_(layer, source, {"raw_weight": kernel})
    # W = K / s: the bias stands behind W here, behind K there.
    scale = kernel.norm() / layer.weight.double().norm()
    put_(layer, source, {"bias": None if source.bias is None else source.bias / scale})
    return Loaded(True, "CPL: steps are divided by a proved bound of the norm, there by an estimate from below")


@register_rule("SLLConv2d", into=("SLLConv2d", "SLLLinear"))
def _sll(layer: Any, source: Source) -> Loaded:
    kernel = fit_kernel(layer, source.tensor("kernel"))
    log_q = (source.tensor("q").abs() + _EPSILON).log()
    put_(layer, source, {"raw_weight": kernel, "log_q": log_q})
    scale = kernel.flatten(1).norm(dim=1) / layer.weight.double().flatten(1).norm(dim=1)
    put_(layer, source, {"bias": None if source.bias is None else source.bias / scale})
    return Loaded(True)


@register_rule("LOT", "LOT2t", into=("LOTConv2d", "LOTLinear"))
def _lot(layer: Any, source: Source) -> Loaded:
    put_(layer, source, {"raw_weight": fit_kernel(layer, source.tensor("weight")), "bias": source.bias})
    return Loaded(True, "LOT: the inverse roots are exact, there of V V^H + 1e-4 I and by ten steps")


@register_rule("SandwichConv", into=("SandwichConv2d",))
def _sandwich(layer: Any, source: Source) -> Loaded:
    weight = source.tensor("weight")
    length, note = _length(source, weight)
    outputs = len(weight)
    parts = {"raw_outer": weight[:, :outputs], "raw_weight": weight[:, outputs:]}
    put_(layer, source, {**parts, "length": length, "psi": source.tensor("psi"), "bias": source.bias})
    return Loaded(True, note)


@register_rule("SandwichFc", into=("SandwichLinear",))
def _sandwich_linear(layer: Any, source: Source) -> Loaded:
    length = source.tensor("alpha").reshape(())
    own = {"raw_weight": source.tensor("weight"), "length": length, "psi": source.tensor("psi")}
    put_(layer, source, {**own, "bias": source.bias})
    return Loaded(True)


@register_rule("BnBLinear", "BnBLinearBCOP", "BjorckLinear", into=("BjorckLinear",))
def _bjorck(layer: Any, source: Source) -> Loaded:
    weight = source.tensor(ORIGINAL, "weight")
    largest = float(torch.linalg.matrix_norm(weight, 2))
    if source.name != "BjorckLinear" and largest >= math.sqrt(3):
        raise UserError(
            f"{source.where}, a {source.name}, has a raw weight of norm {largest:.3g}, for which its iteration diverges"
        )
    put_(layer, source, {"raw_weight": weight, "bias": source.bias})
    return Loaded(True)


@register_rule("StandardConv2d", "Conv2d", "Linear", into=("Conv2d", "Linear"))
def _plain(layer: Any, source: Source) -> Loaded:
    weight = source.tensor("weight")
    dense = layer.weight.dim() == 2 and weight.dim() == 4
    put_(layer, source, {"weight": weight.flatten(1) if dense else weight, "bias": source.bias})
    return Loaded(True)


def soc_angle(source: Source) -> float:
    """Bound by how much their layer turns: the norm of its skew convolution.

    Args:
        source: A SOC layer of the published code.

    Returns:
        0.7 (1 for 1x1 kernels) times our bound of the norm of the skew kernel over their estimate of it.
    """
    kernel = source.tensor("random_conv_filter")
    skew = (kernel - transpose(kernel)) / 2
    sigma = min(float((skew * source.tensor(f"u{i}") * source.tensor(f"v{i}")).sum()) for i in range(1, 5))
    return float(source.tensor("correction") / sigma * gram_norm(skew, n_iter=3))


@register_rule("SOC", into=("SOCConv2d",))
def _soc(layer: Any, source: Source) -> Loaded:
    angle = soc_angle(source)
    own: dict[str, Tensor | None] = {"raw_weight": source.tensor("random_conv_filter"), "bias": source.bias}
    if layer.angle is not None:
        own["angle"] = torch.tensor(angle, dtype=torch.float64)
    put_(layer, source, own)
    if layer.angle is not None and angle <= layer.largest_angle:
        return Loaded(True)
    ours = layer.largest_angle
    return Loaded(False, f"{source.where}: eigenvalues turn by up to {ours:g} and there by up to {angle:.3g}")


def soc_matrix(source: Source) -> Tensor:
    """Compute the matrix of their 1x1 convolution, by twelve terms of the exponential as in their eval.

    Args:
        source: A SOC layer of the published code with a 1x1 kernel.

    Returns:
        (n, n).
    """
    kernel = source.tensor("random_conv_filter")[:, :, 0, 0]
    skew = (kernel - kernel.T) / 2
    sigma = min(
        float((skew * source.tensor(f"u{i}")[..., 0, 0] * source.tensor(f"v{i}")[..., 0, 0]).sum()) for i in range(1, 5)
    )
    step = float(source.tensor("correction")) * skew / sigma
    total = term = torch.eye(len(step), dtype=step.dtype)
    for i in range(1, 13):
        term = term @ step / i
        total = total + term
    return total


@register_rule("SOC head", into=("PolarExpressLinear", "BjorckLinear"))
def _soc_head(layer: Any, source: Source) -> Loaded:
    return assign_nearest_(layer, source, soc_matrix(source))
