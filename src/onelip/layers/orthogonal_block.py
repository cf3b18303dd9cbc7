"""Raw parameters that are orthogonal themselves, and how a layer knows that they still are."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from onelip.layers.projection import RETRACTED
from onelip.linalg.manifold_steps import orthogonality_defect

_MARK = "_onelip_orthogonal"


class OrthogonalBlock(NamedTuple):
    """A parameter that is a batch of semi-orthogonal matrices.

    Attributes:
        parameter: Of any shape, contiguous.
        shape: `(batch, m, n)`, what to view it as.
    """

    parameter: nn.Parameter
    shape: tuple[int, ...]


class _Mark:
    """The storage and version of a parameter that was orthogonal; copies of it match nothing."""

    def __init__(self, pointer: int = 0, version: int = -1) -> None:
        self.pointer, self.version = pointer, version

    def __reduce__(self) -> tuple[type[_Mark], tuple[()]]:
        return _Mark, ()


def trust(parameter: nn.Parameter) -> None:
    """Declare that a parameter holds orthogonal matrices now, until it is next written to.

    Args:
        parameter: Just made orthogonal.
    """
    parameter.__dict__[_MARK] = _Mark(parameter.data_ptr(), parameter._version)


def trust_if_orthogonal(block: OrthogonalBlock, tolerance: float = RETRACTED) -> None:
    """Call `trust` on a parameter if its matrices are orthogonal.

    Args:
        block: The parameter.
        tolerance: Largest ||X^T X - I||_F / sqrt(n) that passes.
    """
    parameter, shape = block
    if not parameter.is_meta and orthogonality_defect(parameter.detach().reshape(shape)) <= tolerance:
        trust(parameter)


def is_trusted(parameter: Tensor) -> bool:
    """Say whether a parameter is the very tensor that `trust` was called with, unchanged since.

    Args:
        parameter: Any tensor; those of functional calls and copies were never declared.

    Returns:
        False after any write to it, such as a step of another optimiser, a loaded state or a move to another precision.
        While compiling, where that cannot be seen, whether it ever was declared.
    """
    mark = getattr(parameter, _MARK, None)
    if mark is None or torch.compiler.is_compiling():
        return mark is not None
    return bool(mark.version == parameter._version and mark.pointer == parameter.data_ptr())
