"""Estimates of norms by their published names, each with what it claims."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

from torch import Tensor, nn

from onelip.linalg import unknown_name
from onelip.spectral.norm_estimates.problem import NotApplicableError, Problem, describe

Kind = Literal["upper", "lower", "exact"]
Estimator = Callable[..., Tensor]
E = TypeVar("E", bound=Estimator)

_BEST: dict[Kind, tuple[str, ...]] = {
    "upper": ("proved",),
    "lower": ("singular-values",),
    "exact": ("sedghi", "svd"),
}


@dataclass(frozen=True)
class NormMethod:
    """A way to estimate the l2 operator norm of a layer.

    Attributes:
        name: The name it is asked for by.
        kind: Is its value an "upper" bound of the norm, a "lower" one, or "exact"? Up to the rounding of float64,
            except where it is proved.
        function: From a problem, and the steps if it has any, to the value.
        steps: How many steps it makes by default; None if it has none.
        differentiable: Does the value carry gradients to the weight?
        paper: Where it is from.
        summary: One line.
    """

    name: str
    kind: Kind
    function: Estimator
    steps: int | None
    differentiable: bool
    paper: str
    summary: str


@dataclass(frozen=True, eq=False)
class NormEstimate:
    """An estimate of a norm.

    Attributes:
        value: A scalar, float64 for convolutions and matrices; with gradients where the method has them.
        kind: Is it an "upper" bound, a "lower" one or "exact"?
        method: The name of the method.
    """

    value: Tensor
    kind: Kind
    method: str

    def __float__(self) -> float:
        return float(self.value.detach())


_METHODS: dict[str, NormMethod] = {}


def register_norm(
    name: str, *, kind: Kind, paper: str, steps: int | None = None, differentiable: bool = True
) -> Callable[[E], E]:
    """Enter a method; the first line of its docstring is the summary.

    Args:
        name: The name it is asked for by.
        kind: What its value is.
        paper: Where it is from.
        steps: How many steps it makes by default, if any.
        differentiable: Does the value carry gradients?

    Returns:
        A decorator that leaves the function as it is.
    """

    def enter(function: E) -> E:
        summary = (function.__doc__ or "").partition("\n")[0]
        _METHODS[name] = NormMethod(name, kind, function, steps, differentiable, paper, summary)
        return function

    return enter


def norm_estimates(kind: Kind | None = None) -> dict[str, NormMethod]:
    """List the methods.

    Args:
        kind: Only those whose value is an "upper" bound, a "lower" one or "exact"; all by default.

    Returns:
        Method by name, sorted by name.

    Raises:
        ValueError: The kind is unknown.
    """
    _check_kind(kind)
    return {name: method for name, method in sorted(_METHODS.items()) if kind in (None, method.kind)}


def norm_estimate(
    layer: nn.Module | Tensor,
    method: str | None = None,
    input_shape: Sequence[int] | None = None,
    *,
    kind: Kind | None = None,
    steps: int | None = None,
    stride: Any = None,
    padding: Any = None,
    dilation: Any = None,
    groups: int | None = None,
    padding_mode: str | None = None,
) -> NormEstimate:
    """Estimate the l2 operator norm of a layer by a published method, or by the best one of a kind.

    Args:
        layer: A convolution or dense layer, in its plain form if it is one of this library's; its weight
            `(out, in/groups, k ...)` or `(out, in)`; for some methods any affine module.
        method: A name from `norm_estimates()`; by default the best of the kind: "proved" for "upper", "singular-values"
            for "lower", "sedghi" or else "svd" for "exact".
        input_shape: Shape of one input, without the batch; needed by methods that are of one image size.
        kind: What the value has to be; "upper" if neither it nor a method is given.
        steps: How many steps the method makes, if it has any.
        stride: Of a kernel, as in `nn.Conv2d`, with its defaults; a module has its own.
        padding: Likewise.
        dilation: Likewise.
        groups: Likewise.
        padding_mode: Likewise.

    Returns:
        The estimate, and what it claims.

    Raises:
        ValueError: A name or an argument is not allowed, or the method's value is not of the kind; a
            `NotApplicableError` if the method makes no claim about the layer as it is.
    """
    _check_kind(kind)
    names = _chosen(method, kind)
    problem = describe(
        layer,
        input_shape,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        padding_mode=padding_mode,
    )
    for name in names[:-1]:
        try:
            return _estimate(_METHODS[name], problem, steps)
        except NotApplicableError:
            continue
    return _estimate(_METHODS[names[-1]], problem, steps)


def _chosen(method: str | None, kind: Kind | None) -> tuple[str, ...]:
    if method is None:
        return _BEST[kind or "upper"]
    if method not in _METHODS:
        raise ValueError(unknown_name("norm estimate", method, _METHODS))
    claimed = _METHODS[method].kind
    if kind not in (None, claimed):
        others = ", ".join(norm_estimates(kind))
        raise ValueError(f"method={method!r} gives no {kind!r} value of a norm but {claimed!r}; use one of {others}")
    return (method,)


def _estimate(method: NormMethod, problem: Problem, steps: int | None) -> NormEstimate:
    if method.steps is None:
        if steps is not None:
            raise ValueError(f"steps={steps} for norm estimate {method.name!r}, which has none; leave it out")
        value = method.function(problem)
    else:
        count = method.steps if steps is None else steps
        if type(count) is not int or count < 1:
            raise ValueError(f"steps={count!r} for norm estimate {method.name!r} must be an integer >= 1")
        value = method.function(problem, count)
    return NormEstimate(value, method.kind, method.name)


def _check_kind(kind: str | None) -> None:
    if kind is not None and kind not in get_args(Kind):
        raise ValueError(unknown_name("kind of norm estimate", kind, get_args(Kind)))
