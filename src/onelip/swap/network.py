"""Rebuild a network with constrained layers in place of the ordinary ones."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn
from torch.nn.utils import parametrize

from onelip import layers
from onelip.layers.plain import evaluating
from onelip.swap.activations import REPLACEABLE, build_activation
from onelip.swap.advice import STAY_WHOLE, advice
from onelip.swap.affine import AffineMap, kind_of, read_affine
from onelip.swap.choice import Choice
from onelip.swap.graph import Site, remarks, sites, traced
from onelip.swap.outcome import Left, Replaced, Swap
from onelip.swap.replacement import replacement, takers


def swap(
    model: nn.Module,
    *,
    conv: str | None = "aoc",
    linear: str | None = "cholesky",
    activation: str | None = "maxmin",
    padding: str | None = "circular",
) -> Swap:
    """Rebuild an ordinary network with constrained layers, and list what was replaced and what could not be.

    `nn.Conv1d`, `nn.Conv2d`, `nn.ConvTranspose2d`, `nn.Linear` and activations of hidden layers are replaced, wherever
    they are; a module used in several places stays one module, and forward methods stay as they are. Each new layer is
    given the weight of the old one, projected onto its set as nearly as the method can, its bias, device, precision
    and mode. Layers of this library, and modules whose classes override `forward`, are left alone.

    A method that cannot widen is put between `ChannelPad` and `ChannelKeep`; one that cannot stride comes after
    `InvertibleDownsampling2d`. With circular padding and a stride, images must be a multiple of the stride.

    The constant of the result is for `lipschitz_bound` to prove: it is 1 for a chain of replaced layers, and larger
    where `left` says so.

    Args:
        model: Any module; it is left alone.
        conv: Registered method for convolutions, such as "aoc" or "aol"; None leaves them.
        linear: Registered method for dense layers; None leaves them.
        activation: Registered activation for ReLU and its relatives; None leaves them.
        padding: Padding mode of convolutions, "circular" or "zeros"; None keeps each one's own.

    Returns:
        The new network and the report; `print` shows it as a table.

    Raises:
        ValueError: If a name is unknown, or the method does not allow the padding.

    Cost: one projection of each weight: milliseconds, but for kernels that are composed (AOC, BCOP) 5 s at 128 and
    half a minute at 256 channels of 3x3, on one core.
    """
    choice = Choice(conv, linear, activation, padding)
    work = _Work(model, choice)
    with evaluating(model):
        for name, module in _parts(model):
            work.visit(name, module)
    new = copy.deepcopy(model, work.memo)
    for old, replaced in work.pairs:
        replaced.train(old.training)
    left = [*work.left, *remarks(traced(new), new, activation)]
    return Swap(new, tuple(work.replaced), tuple(left))


def _parts(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    # Each module once, by its first name, without what is inside a module that stays whole.
    whole: list[str] = []
    for name, module in model.named_modules():
        if not any(name.startswith(f"{outer}." if outer else "") for outer in whole):
            yield name, module
            if isinstance(module, STAY_WHOLE):
                whole.append(name)


class _Work:
    """Replace modules one by one, and keep account."""

    def __init__(self, model: nn.Module, choice: Choice) -> None:
        self.choice = choice
        self.memo: dict[int, Any] = {}
        self.pairs: list[tuple[nn.Module, nn.Module]] = []
        self.replaced: list[Replaced] = []
        self.left: list[Left] = []
        self._sites = sites(traced(model) if choice.activation is not None else None, REPLACEABLE)
        self._names = _all_names(model)
        self._owners = _owners(model)
        self._sample = next((t for t in (*model.parameters(), *model.buffers()) if t.is_floating_point()), None)

    def visit(self, name: str, module: nn.Module) -> None:
        kind = kind_of(module)
        if kind is not None and self._asked_for(kind):
            self._affine(name, module, kind)
        elif self.choice.activation is not None and type(module) in REPLACEABLE:
            self._activation(name, module, self.choice.activation)
        else:
            self._leave(name, module)

    def _asked_for(self, kind: str) -> bool:
        return (self.choice.linear if kind == "linear" else self.choice.conv) is not None

    def _affine(self, name: str, module: nn.Module, kind: Any) -> None:
        record = self.choice.record(kind)
        padding = self.choice.padding
        old: AffineMap | None = None
        try:
            old = read_affine(module, kind)
            if record is None:
                raise ValueError(f"conv={self.choice.conv!r} has no form of kind {kind!r}")
            new = replacement(old, record, padding)
        except ValueError as error:
            self._refused(name, module, str(error), old)
            return
        _freeze_alike(module, new.layer)
        notes = (*new.remarks, *self._notes(name, module, record.norm))
        kept = Replaced(name, _text(module), type(new.layer).__name__, new.weight_change, new.direction_kept, notes)
        self._put(module, new.module, kept)

    def _activation(self, name: str, module: nn.Module, activation: str) -> None:
        places: list[Site] = self._sites.get(id(module), [])
        try:
            new = build_activation(layers.record("activation", activation), places)
        except ValueError as error:
            self.left.append(
                Left(name, type(module).__name__, str(error), "activation='maxmin', which needs no number")
            )
            return
        if self._sample is not None:
            new = new.to(self._sample.device, self._sample.dtype)
        self._put(module, new, Replaced(name, _text(module), type(new).__name__, None, None, self._notes(name, module)))

    def _put(self, old: nn.Module, new: nn.Module, entry: Replaced) -> None:
        self.memo[id(old)] = new
        self.pairs.append((old, new))
        self.replaced.append(entry)

    def _refused(self, name: str, module: nn.Module, reason: str, old: AffineMap | None) -> None:
        word = "linear" if old is not None and old.kind == "linear" else "conv"
        names = takers(old, self.choice.padding) if old is not None else ()
        methods = " or ".join(map(repr, names[:4]))
        instead = f"{word}={methods}, which take it" if names else "a layer that the method allows"
        self.left.append(Left(name, _text(module), reason, instead))

    def _leave(self, name: str, module: nn.Module) -> None:
        found = advice(module)
        if found is not None:
            self.left.append(Left(name, type(module).__name__, *found))

    def _notes(self, name: str, module: nn.Module, norm: str = "l2") -> tuple[str, ...]:
        notes = []
        others = [n for n in self._names[id(module)] if n != name]
        if others:
            notes.append(f"also at {', '.join(others)}")
        tied = [n for n in self._owners.get(id(getattr(module, "weight", None)), []) if n != name]
        if tied:
            notes.append(f"its weight is no longer that of {', '.join(tied)}")
        if norm != "l2":
            notes.append(f"1-Lipschitz in the {norm} norm, not in l2")
        if parametrize.is_parametrized(module):
            notes.append("its parametrization was dropped, the weight that it gave was kept")
        if module._forward_hooks or module._forward_pre_hooks:
            notes.append("its forward hooks were dropped")
        return tuple(notes)


def _all_names(model: nn.Module) -> dict[int, list[str]]:
    names: dict[int, list[str]] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        names.setdefault(id(module), []).append(name)
    return names


def _owners(model: nn.Module) -> dict[int, list[str]]:
    owners: dict[int, list[str]] = {}
    for name, module in model.named_modules():
        for parameter in module.parameters(recurse=False):
            owners.setdefault(id(parameter), []).append(name)
    return owners


def _freeze_alike(old: nn.Module, new: nn.Module) -> None:
    # What was frozen stays frozen.
    weights, bias = [p for n, p in old.named_parameters() if n != "bias"], getattr(old, "bias", None)
    for name, parameter in new.named_parameters():
        parameter.requires_grad_(
            bias.requires_grad if name == "bias" and isinstance(bias, Tensor) else _learned(weights)
        )


def _learned(weights: list[nn.Parameter]) -> bool:
    return any(weight.requires_grad for weight in weights)


def _text(module: nn.Module) -> str:
    kind = kind_of(module)
    shown: Any = module
    if kind is None:
        return type(module).__name__
    if kind == "linear":
        return f"{_class(module)}({shown.in_features}, {shown.out_features})"
    stride = "" if set(shown.stride) == {1} else f", stride {_side(shown.stride)}"
    groups = "" if shown.groups == 1 else f", groups {shown.groups}"
    return f"{_class(module)}({shown.in_channels}, {shown.out_channels}, {_side(shown.kernel_size)}{stride}{groups})"


def _class(module: nn.Module) -> str:
    return type(module).__name__.removeprefix("Parametrized")


def _side(sizes: tuple[int, ...]) -> str:
    return str(sizes[0]) if len(set(sizes)) == 1 else "x".join(map(str, sizes))
