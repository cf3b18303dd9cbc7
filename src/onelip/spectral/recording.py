"""One forward pass, followed: which modules run, on what, and who takes their outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter, is_lazy
from torch.overrides import TorchFunctionMode

from onelip.layers.plain import evaluating


@dataclass(eq=False)
class Call:
    """One run of a module.

    Attributes:
        name: Qualified name of the module.
        module: The module.
        source: Its first argument.
        arguments: The further ones, by position and by name.
        output: What it gave; None while it runs.
        takers: The followed modules that took its output.
        used: Was its output taken in another way as well, by a function or as an output of the network?
    """

    name: str
    module: nn.Module
    source: Any
    arguments: tuple[tuple[Any, ...], dict[str, Any]]
    output: Any = None
    takers: list[Call] = field(default_factory=list)
    used: bool = False

    @property
    def extra(self) -> bool:
        """Were there more arguments than one, other than None?"""
        return any(value is not None for value in (*self.arguments[0], *self.arguments[1].values()))


def record(
    model: nn.Module,
    input_shape: tuple[int, ...],
    followed: Iterable[nn.Module],
    opaque: Callable[[nn.Module], bool],
) -> list[Call]:
    """Run a network on one zero input and follow some of its modules.

    Modes, buffers, gradients, hooks and random generators are as before when it ends, in whatever way.

    Args:
        model: Any module that maps `(B, *input_shape)`; it need not be traceable.
        input_shape: Shape of one input, without the batch.
        followed: The modules to follow.
        opaque: Is what runs inside of this module left out?

    Returns:
        The calls that ended, in the order in which they began.

    Raises:
        ValueError: If the network does not accept the shape, or has parameters without a shape.
    """
    lazy = [name for name, p in model.named_parameters() if is_lazy(p)]
    if lazy:
        raise ValueError(f"{lazy[0]} of {type(model).__name__} has no shape yet; run the network once first")
    like = _like(model)
    recorder = _Recorder({id(module): name for name, module in model.named_modules()}, opaque)
    with _following(recorder, followed), evaluating(model), _isolated(like.device):
        x = torch.zeros(1, *input_shape, dtype=like.dtype, device=like.device)
        try:
            with recorder:
                result = model(x)
        except (RuntimeError, ValueError, IndexError) as error:
            reason = " ".join(str(error).split())
            raise ValueError(f"input_shape={input_shape} does not fit {type(model).__name__}: {reason}") from error
    recorder.mark_used(result)
    return [call for call in recorder.calls if call.output is not None]


class _Recorder(TorchFunctionMode):
    def __init__(self, names: dict[int, str], opaque: Callable[[nn.Module], bool]) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self._names = names
        self._opaque = opaque
        self._running: list[Call] = []
        # The calls keep their outputs alive, so that no other tensor gets their identity.
        self._made: dict[int, Call] = {}
        self._versions: dict[int, int] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        # Shapes, types and the like are asked for without a use of the values.
        if (result is None or any(True for _ in _tensors(result))) and not self._is_given_back(result):
            self.mark_used((args, kwargs))
        return result

    def mark_used(self, values: Any) -> None:
        innermost = self._running[-1].source if self._running else None
        for tensor in _tensors(values):
            if id(tensor) in self._made and tensor is not innermost:
                self._made[id(tensor)].used = True

    # As dropout does in eval mode. Functions that work in place give back what they were given with another version.
    def _is_given_back(self, result: Any) -> bool:
        return id(result) in self._made and result._version == self._versions[id(result)]

    def enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if any(self._opaque(call.module) for call in self._running):
            return
        if args:
            source, args = args[0], args[1:]
        else:
            first, *others = kwargs
            source, kwargs = kwargs[first], {name: kwargs[name] for name in others}
        call = Call(self._names[id(module)], module, source, (args, kwargs))
        maker = self._made.get(id(source))
        if maker is not None:
            maker.takers.append(call)
        self.calls.append(call)
        self._running.append(call)

    def leave(self, module: nn.Module, _: Any, output: Any) -> None:
        if all(call.module is not module for call in self._running):
            return
        # Above it are calls that ended with an error which the network caught.
        while (call := self._running.pop()).module is not module:
            pass
        call.output = output
        if isinstance(output, Tensor):
            self._made[id(output)] = call
            self._versions[id(output)] = output._version


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _tensors(item)


@contextmanager
def _following(recorder: _Recorder, modules: Iterable[nn.Module]) -> Iterator[None]:
    handles = []
    try:
        for module in modules:
            handles.append(module.register_forward_pre_hook(recorder.enter, with_kwargs=True))
            handles.append(module.register_forward_hook(recorder.leave))
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _isolated(device: torch.device) -> Iterator[None]:
    devices = [device] if device.type == "cuda" else []
    modes = torch.inference_mode(False), torch.no_grad(), torch.autocast(device.type, enabled=False)
    with torch.random.fork_rng(devices), modes[0], modes[1], modes[2]:
        yield


def _like(model: nn.Module) -> Tensor:
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.is_floating_point() and not isinstance(tensor, UninitializedParameter):
            return tensor
    return torch.zeros(())
