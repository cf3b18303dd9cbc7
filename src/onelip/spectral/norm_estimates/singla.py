"""Four bounds of the norm of a convolution by reshaping its kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from onelip.bounds.convolution_rules import Convolution
from onelip.spectral.norm_estimates.problem import Problem
from onelip.spectral.norm_estimates.registry import register_norm

_PAPER = "Singla and Feizi 2021, arXiv:1911.10258"

# From (groups, out, in, kh, kw) to matrices.
_RESHAPES: dict[str, Callable[[Tensor], Tensor]] = {
    "r": lambda w: w.permute(0, 1, 3, 2, 4).flatten(3, 4).flatten(1, 2),
    "s": lambda w: w.permute(0, 1, 4, 2, 3).flatten(3, 4).flatten(1, 2),
    "t": lambda w: w.flatten(2),
    "u": lambda w: w.transpose(1, 2).flatten(2),
}


@register_norm("singla", kind="upper", paper=_PAPER)
def singla(problem: Problem) -> Tensor:
    """sqrt(kh kw) times the least norm of four matrices made of the taps: an upper bound for every image size.

    The matrices are (out kh, in kw), (out kw, in kh), (out, in kh kw) and (in, out kh kw): "singla-r" to "singla-u",
    each a bound by itself. They hold for zero padding, and for circular padding that repeats no pixel, with any stride,
    which only drops outputs, dilation and groups. The norms of the matrices are by singular values, not, as published,
    by power iteration, which could fall below.

    Args:
        problem: A convolution of any padding but reflected and replicated.

    Returns:
        The bound.

    Raises:
        NotApplicableError: The padding repeats pixels.
    """
    conv = problem.unrepeated("singla")
    return torch.stack([_bound(conv, name) for name in _RESHAPES]).min()


def _bound(conv: Convolution, name: str) -> Tensor:
    grouped = conv.weight.unflatten(0, (conv.groups, -1))
    kh, kw = grouped.shape[-2:]
    return torch.linalg.svdvals(_RESHAPES[name](grouped))[..., 0].max() * (kh * kw) ** 0.5


def _register(name: str, shape: str) -> None:
    def one(problem: Problem) -> Tensor:
        return _bound(problem.unrepeated(f"singla-{name}"), name)

    one.__doc__ = f"sqrt(kh kw) times the norm of the taps as a matrix {shape}: an upper bound for every image size."
    register: Any = register_norm(f"singla-{name}", kind="upper", paper=_PAPER)
    register(one)


for _letter, _shape in zip(
    _RESHAPES, ("(out kh, in kw)", "(out kw, in kh)", "(out, in kh kw)", "(in, out kh kw)"), strict=True
):
    _register(_letter, _shape)
