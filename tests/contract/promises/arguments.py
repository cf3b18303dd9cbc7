"""Arguments: torch's own, in torch's order; each has its effect or is refused in one sentence; repr shows them."""

from __future__ import annotations

import inspect
import re
import typing
from dataclasses import replace
from typing import Any

import torch
from tests.contract.cases import Case
from tests.contract.measure import outputs
from tests.contract.promise import CONVS, EVERY, WITH_WEIGHT, promise
from tests.contract.states import STATES, perturb_, train
from torch import Tensor, nn

NAMESAKES: dict[str, type[nn.Module]] = {
    "conv1d": nn.Conv1d,
    "conv2d": nn.Conv2d,
    "conv_transpose2d": nn.ConvTranspose2d,
    "linear": nn.Linear,
}


def assert_sentence(case: Case, text: str, argument: str | None = None) -> None:
    """The refusal names the class and an argument as `argument=value`, on one line."""
    owner = case.record.factory.__name__
    assert owner in text, f"the refusal does not name the class {owner}: {text}"
    named = re.findall(r"(\w+)=", text)
    known = {p.name for p in case.parameters}
    assert known & set(named), f"the refusal names no argument as argument=value: {text}"
    assert argument is None or argument in named, f"the refusal does not name {argument}: {text}"
    assert "\n" not in text, f"the refusal is not one line: {text}"


def _assert_refused(case: Case, argument: str, **arguments: Any) -> None:
    try:
        case.build(**arguments)
    except ValueError as error:
        assert_sentence(case, str(error), argument)
    else:
        raise AssertionError(f"{argument}={arguments[argument]!r} is accepted")


@promise(kinds=WITH_WEIGHT, float32="first")
def check_signature_is_torchs(case: Case) -> None:
    """First the namesake's parameters, same names, order and defaults, then keyword-only ones, and no catch-all."""
    parameters = case.parameters
    wanted = list(inspect.signature(NAMESAKES[case.record.kind]).parameters.values())
    for ours, theirs in zip(parameters, wanted, strict=False):
        assert ours.name == theirs.name, f"argument {ours.name} stands where torch has {theirs.name}"
        assert ours.default == theirs.default, (
            f"{ours.name} defaults to {ours.default!r}, torch's to {theirs.default!r}"
        )
        assert ours.kind == ours.POSITIONAL_OR_KEYWORD, f"{ours.name} cannot be given as in torch"
    assert len(parameters) >= len(wanted), f"the arguments {[p.name for p in wanted[len(parameters) :]]} are missing"
    for extra in parameters[len(wanted) :]:
        assert extra.kind == extra.KEYWORD_ONLY, f"{extra.name} is not keyword-only"
        assert extra.default is not extra.empty, f"{extra.name} has no default"


@promise(kinds=("activation", "pool", "normalization"), float32="first")
def check_signature_has_no_catch_all(case: Case) -> None:
    """No *args and no **kwargs that could swallow an argument."""
    for parameter in case.parameters:
        catch_all = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        assert not catch_all, f"{parameter} swallows arguments"


@promise(kinds=EVERY, float32="first")
def check_unknown_argument_is_refused(case: Case) -> None:
    """A misspelt argument is an error."""
    try:
        case.build(no_such_option=1)
    except TypeError:
        return
    raise AssertionError("an unknown argument is accepted")


@promise(kinds=WITH_WEIGHT, float32="first")
def check_bad_arguments_are_refused(case: Case) -> None:
    """Values that make no sense: one sentence each, at construction."""
    names = [p.name for p in case.parameters]
    base = dict(zip(names, case.arguments, strict=False)) | case.options
    bad: list[tuple[str, Any]] = [(n, v) for n in names[:2] for v in (0, -1, 2.5, "4", None)]
    if case.record.kind in CONVS:
        bad += [(n, v) for n in ("kernel_size", "stride", "dilation") for v in (0, -1, (1, 2, 3), 1.5, "3")]
        bad += [("groups", v) for v in (0, -1, 3, 1.5)] + [("padding", v) for v in (-1, (1, 2, 3), "circular", 1.5)]
        bad += [("padding_mode", v) for v in ("reflect", "replicate", "constant", 1, None)]
    bad += [] if case.record.kind != "conv_transpose2d" else [("output_padding", v) for v in (-1, 5, (1, 2, 3), 0.5)]
    for name, value in bad:
        arguments = {**base, name: value}
        try:
            case.record.factory(**arguments)
        except ValueError as error:
            assert_sentence(case, str(error), name)
        except Exception as error:
            raise AssertionError(f"{name}={value!r} raises {type(error).__name__}: {error}") from error
        else:
            raise AssertionError(f"{name}={value!r} is accepted")


@promise(kinds=CONVS, float32="first")
def check_undeclared_paddings_are_refused(case: Case) -> None:
    """Padding modes that the record does not declare are refused, by name; circular padding beyond the kernel too."""
    for mode in ("zeros", "circular", "reflect", "replicate"):
        if mode not in case.record.paddings:
            _assert_refused(case, "padding_mode", padding_mode=mode)
    if "circular" in case.record.paddings:
        _assert_refused(case, "padding", padding=3, padding_mode="circular")


@promise(kinds=WITH_WEIGHT, float32="first")
def check_record_tells_the_truth_about_shapes(case: Case) -> None:
    """`square` and `strides`: what the record says is supported is, the rest is refused."""
    case = case.with_options(case.label, **{name: 1 for name in ("groups",) if name in case.options})
    first, _, *rest = case.arguments
    arguments = (first, first + 2, *rest)
    names = [p.name for p in case.parameters]
    given = dict(zip(names, arguments, strict=False))
    if case.record.square:
        _assert_refused(replace(case, arguments=()), names[1], **given)
    else:
        case.record.factory(**given, **case.options)
    if case.record.kind == "conv2d":
        given = {**given, "in_channels": 3, "out_channels": 3 if case.record.square else 12, "kernel_size": 2}
        given |= {"padding": 0, "stride": 2}
        if case.record.strides:
            case.record.factory(**{**case.options, **given})
        else:
            _assert_refused(replace(case, arguments=()), "stride", **given)


def _output_shape(case: Case) -> tuple[torch.Size, Tensor]:
    names = set(inspect.signature(NAMESAKES[case.record.kind]).parameters)
    options = {k: v for k, v in case.options.items() if k in names}
    mode = options.pop("padding_mode", "zeros")
    if case.record.kind == "conv_transpose2d" and mode == "circular":
        # Torch has none: the adjoint of a circular convolution takes images to stride times their size.
        sh, sw = case.stride()
        return torch.Size((3, case.arguments[1], case.shape[1] * sh, case.shape[2] * sw)), case.input()
    if case.record.kind in ("conv1d", "conv2d"):
        options["padding_mode"] = mode
    namesake = NAMESAKES[case.record.kind](*case.arguments, **options, dtype=case.dtype)
    return outputs(namesake, case.input()).shape, case.input()


@promise(kinds=WITH_WEIGHT, float32="all")
def check_output_shape_is_torchs(case: Case) -> None:
    """Stride, padding, dilation and the rest do what they do in torch; unbatched and empty inputs too."""
    layer = case.build()
    shape, x = _output_shape(case)
    for training in (True, False):
        y = outputs(layer.train(training), x)
        assert y.shape == shape, f"the output has shape {tuple(y.shape)}, torch's {tuple(shape)}"
    assert outputs(layer, x[:0]).shape == (0, *shape[1:]), "an empty batch gives another shape"
    one = outputs(layer, x[0])
    assert one.shape == shape[1:], f"one input without a batch axis gives shape {tuple(one.shape)}"
    if x.dim() == 4:
        last = outputs(layer, x.to(memory_format=torch.channels_last))
        assert torch.allclose(last, y, rtol=0, atol=1e-5), "channels_last input gives other numbers"


@promise(kinds=WITH_WEIGHT)
def check_bias_argument(case: Case) -> None:
    """bias=False means no bias parameter; bias=True means one that is added or used."""
    without, with_bias = case.build(bias=False), case.build(bias=True)
    assert not [n for n, _ in without.named_parameters() if n.endswith("bias")], "bias=False keeps a bias parameter"
    zero = torch.zeros_like(case.input())
    assert not outputs(without, zero).any(), "without bias, zero is not mapped to zero"
    biases = [p for n, p in with_bias.named_parameters() if n.endswith("bias")]
    assert biases, "bias=True registers no bias parameter"
    with torch.no_grad():
        for bias in biases:
            bias.fill_(2.5)
    assert outputs(with_bias, zero).any(), "the bias has no effect"


def _candidates(parameter: inspect.Parameter, hints: dict[str, Any]) -> list[Any]:
    default, hint = parameter.default, hints.get(parameter.name)
    choices = [c for part in (hint, *typing.get_args(hint)) for c in _literals(part)]
    if choices:
        return [c for c in choices if c != default]
    if isinstance(default, bool):
        return [not default]
    if isinstance(default, int):
        return [default + 1, default + 2, default - 1, 2 * default]
    if isinstance(default, float):
        return [default / 2, default * 2, default * 1e-6, default * 1e3, 0.5]
    return [1, 2, 3, 1e-1, 1e-2, 1.5]


def _literals(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else ()


def _names_in_refusal(case: Case, name: str) -> list[str]:
    # A name that resembles nothing is answered with the list of valid ones.
    try:
        case.build(**{name: "?"})
    except (ValueError, TypeError) as error:
        return re.findall(r"'([\w-]+)'", str(error))
    return []


def _fingerprint(case: Case, **options: Any) -> list[Any]:
    """Everything about a layer that an option may change, but not its repr: state, outputs, gradients, claims."""
    seen: list[Any] = []
    for name in ("fresh", "raw weights of condition 1e3", "raw weights x 1e3"):
        layer = STATES[name](case.with_options(case.label, **options)).layer
        seen += [sorted((k, tuple(v.shape)) for k, v in layer.state_dict().items())]
        seen += [[p.requires_grad for p in layer.parameters()], getattr(layer, "orthogonal", None)]
        seen += [_output(layer.train(training), x) for training in (True, False) for x in _images(case)]
        if list(layer.parameters()) and isinstance(seen[-1], Tensor):
            train(layer, case.input(), steps=2)
            perturb_(layer, size=0.05)
            seen += [_output(layer, case.input()), _output(layer.eval(), case.input())]
    return seen


def _images(case: Case) -> list[Tensor]:
    # Odd images too, on which pooling modes differ.
    x = case.input()
    return [x, x[..., :-1]] if case.record.kind == "pool" else [x]


def _output(layer: nn.Module, x: Tensor) -> Tensor | str:
    try:
        return outputs(layer, x)
    except ValueError as error:
        return str(error)


def _differ(a: list[Any], b: list[Any]) -> bool:
    if len(a) != len(b):
        return True
    same = (
        torch.equal(x, y) if isinstance(x, Tensor) and isinstance(y, Tensor) else type(x) is type(y) and x == y
        for x, y in zip(a, b, strict=True)
    )
    return not all(same)


def _own_options(case: Case) -> list[inspect.Parameter]:
    skipped = {"device", "dtype"}
    if case.record.kind in NAMESAKES:
        skipped |= set(inspect.signature(NAMESAKES[case.record.kind]).parameters)
    return [p for p in case.parameters if p.default is not p.empty and p.name not in skipped]


def _function(case: Case) -> Any:
    factory: Any = case.record.factory
    return factory.for_channels if case.record.kind == "activation" else factory.__init__


def _accepted(case: Case, parameter: inspect.Parameter, values: list[Any]) -> list[Any]:
    accepted = []
    for value in values:
        try:
            case.build(**{parameter.name: value})
        except (ValueError, TypeError):
            continue
        accepted.append(value)
    return accepted


@promise(kinds=EVERY, float32="first")
def check_every_option_has_an_effect(case: Case) -> None:
    """Each keyword of the method changes state, outputs, gradients or claims; a change of repr alone is not enough."""
    for parameter in _own_options(case):
        hints = typing.get_type_hints(_function(case))
        values = _candidates(parameter, hints)
        if isinstance(parameter.default, str):
            values = _names_in_refusal(case, parameter.name) or values
        accepted = [v for v in _accepted(case, parameter, values) if v != parameter.default]
        assert accepted, f"none of {values} is accepted for {parameter.name}, so its effect cannot be seen"
        default = _fingerprint(case)
        effective = any(_differ(default, _fingerprint(case, **{parameter.name: value})) for value in accepted)
        assert effective, f"{parameter.name} has no effect: all of {accepted} give what {parameter.default!r} gives"


@promise(kinds=EVERY)
def check_repr_shows_every_option(case: Case) -> None:
    """`repr` gives each argument's value, defaults included."""
    layer = case.build()
    text = repr(layer)
    for value in case.arguments:
        assert str(value) in text, f"repr does not show {value!r}: {text}"
    hidden = {"device", "dtype"}
    for parameter in case.parameters:
        if parameter.default is parameter.empty or parameter.name in hidden:
            continue
        assert f"{parameter.name}=" in text, f"repr does not show {parameter.name}: {text}"
