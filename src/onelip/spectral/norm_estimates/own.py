"""Norms by this library's own means: proved, by a block method, and by all singular values of the whole matrix."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from onelip.bounds import lipschitz_bound
from onelip.linalg import Bound, conv_norm_at, conv_norm_size_free, matrix_norm_bound
from onelip.spectral.affine_map import AffineMap
from onelip.spectral.norm_estimates.problem import NotApplicableError, Problem, n_outputs, zeros
from onelip.spectral.norm_estimates.registry import register_norm
from onelip.spectral.singular_values import singular_values

_PAPER = "this library"
_MOST_ENTRIES = 2**25


@register_norm("proved", kind="upper", differentiable=False, paper=_PAPER)
def proved(problem: Problem) -> Tensor:
    """The proved bound of `onelip.lipschitz_bound`: upper with every rounding counted, for any padding.

    At the image's size if it is known, else for every size.

    Args:
        problem: A convolution, a matrix, or any module with a known constant.

    Returns:
        The bound, without gradients.

    Raises:
        ValueError: The module's constant is not known, or the size is needed and is not known.
    """
    return torch.tensor(_proved(problem).value, dtype=torch.float64)


def _proved(problem: Problem) -> Bound:
    conv = problem.convolution
    if problem.matrix is not None:
        return matrix_norm_bound(problem.matrix.detach())
    if conv is None:
        if problem.layer is None:
            raise NotApplicableError(f"norm estimate 'proved' is not of {problem.name}")
        bound = lipschitz_bound(problem.layer, problem.known_shape("proved"))
        return Bound(bound.value, bound.proved, "network")
    weight = conv.weight.detach()
    if conv.sizes:
        return conv_norm_at(
            weight,
            conv.sizes,
            stride=conv.stride,
            dilation=conv.dilation,
            groups=conv.groups,
            pads=conv.pads,
            mode=conv.mode,
        )
    if conv.mode != "zeros":
        # A torus that the stride does not divide is that of stride 1 with outputs left out.
        problem.unrepeated("proved")
        stride = (1,) * len(conv.stride)
        return conv_norm_size_free(weight, stride=stride, dilation=conv.dilation, groups=conv.groups)
    return conv_norm_size_free(weight, stride=conv.stride, dilation=conv.dilation, groups=conv.groups)


@register_norm("singular-values", kind="lower", steps=200, paper=_PAPER)
def by_singular_values(problem: Problem, steps: int) -> Tensor:
    """Top value of `onelip.singular_values`: a lower bound, within 1e-4 as a rule, for any affine layer.

    Args:
        problem: Any affine map of inputs of one shape.
        steps: How often the map and its adjoint are applied to a block, at most.

    Returns:
        ||A v|| for its right vector v, which is taken as constant.

    Raises:
        ValueError: The size is not known.
    """
    shape = problem.known_shape("singular-values")
    like = zeros(problem, 1, shape)
    operator = AffineMap(problem.function, shape, dtype=like.dtype, device=like.device)
    found = singular_values(operator, max_iter=steps)
    right = found.right / found.right.norm()
    return (problem.function(right) - problem.function(torch.zeros_like(right))).norm()


@register_norm("svd", kind="exact", paper="Golub and Kahan 1965")
def svd(problem: Problem) -> Tensor:
    """Largest singular value of the whole matrix, made of the images of all unit vectors: exact, for small layers.

    Args:
        problem: A matrix, or any affine map of inputs of one shape.

    Returns:
        The norm.

    Raises:
        NotApplicableError: The matrix would have more than 2^25 entries.
        ValueError: The size is not known.
    """
    if problem.matrix is not None:
        return torch.linalg.svdvals(problem.matrix)[0]
    shape = problem.known_shape("svd")
    n_inputs = math.prod(shape)
    if n_inputs * n_outputs(problem, shape) > _MOST_ENTRIES:
        raise NotApplicableError(
            f"norm estimate 'svd' makes a matrix of {n_inputs} columns of {problem.name}, which is too large; "
            f"kind='lower' and kind='upper' have methods for it"
        )
    units = torch.eye(n_inputs).to(zeros(problem, 1, ())).reshape(n_inputs, *shape)
    columns = problem.function(units) - problem.function(torch.zeros_like(units[:1]))
    return torch.linalg.svdvals(columns.flatten(1))[0]
