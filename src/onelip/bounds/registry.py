"""Which rule gives the constant of a module class or of a function; open to users."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from onelip.linalg import EXACT_ONE, Bound

Norm = Literal["l2", "linf"]
"""In which both the input and the output of a part are measured."""

NORMS: tuple[Norm, ...] = ("l2", "linf")

ModuleRule = Callable[[Any, tuple[int, ...]], Bound]
FunctionRule = Callable[..., Bound]


class Refused(Exception):  # noqa: N818  (a signal between rules and the propagation, never seen by users)
    """A rule's statement that there is no constant, with the reason as half a sentence."""


@dataclass(frozen=True, eq=False)
class Operand:
    """An argument of a call.

    Attributes:
        value: What the call receives, computed for a batch of one sample of zeros.
        bound: Constant of `value` as a function of the network's input; None if it does not depend on it.
    """

    value: Any
    bound: Bound | None


@dataclass(frozen=True, eq=False)
class Call:
    """A call of a function or tensor method within a network.

    Attributes:
        args: Positional arguments, with each graph value an `Operand`.
        kwargs: Keyword arguments, likewise.
        result: What the call returned for a batch of one sample of zeros.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    result: Any

    def signals(self) -> list[Operand]:
        """Collect the arguments that depend on the network's input.

        Returns:
            Them in order, those inside lists and tuples included.
        """
        return [a for a in _operands((*self.args, *self.kwargs.values())) if a.bound is not None]

    def only_signal(self) -> tuple[Tensor, Bound]:
        """Get the one argument that depends on the network's input.

        Returns:
            Its value and its constant.

        Raises:
            Refused: If there are several.
        """
        signals = self.signals()
        if len(signals) != 1 or signals[0].bound is None:
            raise Refused("more than one of its arguments depends on the input")
        return signals[0].value, signals[0].bound

    def argument(self, position: int, name: str, default: Any = None) -> Any:
        """Get an argument's value whichever way it was passed.

        Args:
            position: Its position.
            name: Its name.
            default: What it is if it was not passed.

        Returns:
            The value.
        """
        given = self.args[position] if len(self.args) > position else self.kwargs.get(name, default)
        return plain(given)


CallRule = Callable[[Call], Bound]

_MODULES: dict[Norm, dict[type[nn.Module], ModuleRule]] = {"l2": {}, "linf": {}}
_CALLS: dict[Norm, dict[Any, CallRule]] = {"l2": {}, "linf": {}}


def _operands(values: Iterable[Any]) -> list[Operand]:
    found: list[Operand] = []
    for value in values:
        if isinstance(value, Operand):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            found += _operands(value)
    return found


def plain(value: Any) -> Any:
    """Replace operands by their values.

    Args:
        value: An argument, possibly a list or tuple.

    Returns:
        It without operands.
    """
    if isinstance(value, Operand):
        return value.value
    if isinstance(value, dict):
        return {key: plain(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(plain(v) for v in value)
    return value


def checked_norm(norm: str, owner: str) -> Norm:
    """Refuse a norm that is not known.

    Args:
        norm: Its name.
        owner: Whose argument it is.

    Returns:
        The name.

    Raises:
        ValueError: If it is neither "l2" nor "linf".
    """
    for known_norm in NORMS:
        if norm == known_norm:
            return known_norm
    raise ValueError(f"norm={norm!r} in {owner} must be 'l2' or 'linf'")


def register_bound(target: Callable[..., Any], rule: Callable[..., Bound], *, norm: Norm = "l2") -> None:
    """Give a module class or a function a Lipschitz constant, for every network from now on.

    Args:
        target: A module class, whose rule is called as `rule(module, input_shape)`, or a function of one tensor that
            depends on the input, whose rule is called as `rule(input_shape, *args, **kwargs)` with the arguments
            that follow the tensor. `input_shape` excludes the batch axis. A later rule replaces an earlier one; a
            class's rule holds for subclasses that keep its `forward`.
        rule: Returns a `Bound`; set its `proved` only if it is.
        norm: "l2" or "linf": the norm that the constant holds in.

    Raises:
        ValueError: If `target` is neither a module class nor callable, `rule` is not callable, or `norm` is unknown.
    """
    if not callable(target) or not callable(rule):
        raise ValueError(f"target={target!r} and rule={rule!r} in register_bound must both be callable")
    checked_norm(norm, "register_bound")
    if isinstance(target, type) and issubclass(target, nn.Module):
        _MODULES[norm][target] = rule
        return

    def of_call(call: Call) -> Bound:
        value, before = call.only_signal()
        rest = tuple(plain(a) for a in call.args[1:])
        own = rule(tuple(value.shape[1:]), *rest, **{k: plain(v) for k, v in call.kwargs.items()})
        return before.then(own)

    _CALLS[norm][target] = of_call


def register_modules(rule: ModuleRule, *kinds: type[nn.Module], norm: Norm = "l2") -> None:
    """Enter one rule for several module classes.

    Args:
        rule: From the module and its input's shape to its constant.
        *kinds: The classes.
        norm: In which the constant holds.
    """
    for kind in kinds:
        register_bound(kind, rule, norm=norm)


def register_calls(rule: CallRule, *targets: Any, norm: Norm = "l2") -> None:
    """Enter the rule of functions (objects) and tensor methods (names).

    Args:
        rule: From the call to its constant as a function of the network's input.
        *targets: Functions or method names.
        norm: In which the constant holds.
    """
    for target in targets:
        _CALLS[norm][target] = rule


def call_rule(target: Any, norm: Norm = "l2") -> CallRule | None:
    """Look up the rule of a function or tensor method.

    Args:
        target: A function, or a method's name.
        norm: In which the constant is to hold.

    Returns:
        The rule, or None.
    """
    try:
        return _CALLS[norm].get(target)
    except TypeError:  # an unhashable callable
        return None


def _registered_class(module: nn.Module, norm: Norm) -> type[nn.Module] | None:
    for kind in type(module).__mro__:
        if kind in _MODULES[norm]:
            # A subclass that computes something else must not inherit the constant.
            return kind if type(module).forward is kind.forward else None
    return None


def has_module_rule(module: nn.Module) -> bool:
    """Say whether a module's class has a rule.

    Args:
        module: Any module.

    Returns:
        True if its class, or a base whose `forward` it keeps, is registered for any norm.
    """
    return any(_registered_class(module, norm) is not None for norm in NORMS)


def module_bound(module: nn.Module, input_shape: tuple[int, ...], norm: Norm = "l2") -> Bound | None:
    """Bound one leaf module, as it behaves in eval mode.

    Args:
        module: The module.
        input_shape: Shape of one input sample.
        norm: In which the constant is to hold.

    Returns:
        The bound, or None if its class has none.

    Raises:
        Refused: If it has no finite constant.
    """
    kind = _registered_class(module, norm)
    if kind is not None:
        return _MODULES[norm][kind](module, input_shape)
    method = "lipschitz_bound" if norm == "l2" else "linf_bound"
    own = getattr(module, method, None)
    if own is None:
        return None
    bound = own(input_shape)
    if not isinstance(bound, Bound):
        raise Refused(f"its {method} returned {type(bound).__name__} instead of a Bound")
    return bound


def one(*_: Any) -> Bound:
    """Rule of modules with constant 1.

    Args:
        *_: Ignored: the module and the shape.

    Returns:
        1, exact.
    """
    return EXACT_ONE


def known(value: float, method: str = "derivative") -> Bound:
    """Make a proved bound from a number that is one.

    Args:
        value: The constant.
        method: Why.

    Returns:
        The bound.
    """
    return Bound(value, True, method)


def largest(values: Tensor) -> float:
    """Largest absolute value of a stored tensor.

    Args:
        values: Real numbers.

    Returns:
        The maximum as float64; 0 for an empty tensor.

    Raises:
        Refused: If an entry is not finite.
    """
    if values.numel() == 0:
        return 0.0
    top = float(values.detach().to(torch.float64).abs().max())
    if not top < float("inf"):
        raise Refused("a stored number is NaN or infinite")
    return top
