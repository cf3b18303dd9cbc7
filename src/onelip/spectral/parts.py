"""The affine parts of a network, each with the input shape that it really gets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.utils import parametrize
from typing_extensions import override

from onelip.layers import ConstrainedModule, ConvexResidual
from onelip.layers.residuals import Residual
from onelip.spectral.affine_map import AffineMap
from onelip.spectral.recording import Call, record
from onelip.spectral.tensor_train import TTConv2d

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
_AFFINE = (*CONVOLUTIONS, *TRANSPOSED, nn.Linear, *NORMS, TTConv2d)

# They wrap modules of the user's, which are what is of interest.
_WRAPPERS = (Residual, ConvexResidual)


class Called(nn.Module):
    """A module as a network calls it, with arguments beside the input, such as the output size of a transposed one.

    Args:
        module: The network's own module.
        args: Further arguments by position.
        kwargs: Further arguments by name.
    """

    def __init__(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        super().__init__()
        self.module = module
        self.args = args
        self.kwargs = kwargs

    @override
    def forward(self, x: Tensor) -> Tensor:
        return self.module(x, *self.args, **self.kwargs)


@dataclass(frozen=True, eq=False)
class Part:
    """An affine part of a network.

    Attributes:
        name: Qualified name of its module; of the first and the last, joined by " + ", if there are two.
        module: What it computes: the network's own module, or a `Sequential` of the network's own modules.
        input_shape: Shape of one input, as the network gives it.
    """

    name: str
    module: nn.Module
    input_shape: tuple[int, ...]

    @property
    def kind(self) -> str:
        """Type of its module without parametrisations, or types of its modules joined by " + "."""
        modules = self.module if isinstance(self.module, nn.Sequential) else [self.module]
        own = [module.module if isinstance(module, Called) else module for module in modules]
        return " + ".join(parametrize.type_before_parametrizations(module).__name__ for module in own)


@dataclass(frozen=True, eq=False)
class Parts:
    """What one pass through a network found.

    Attributes:
        affine: The affine parts that ran.
        not_affine: Names of modules with parameters of their own that ran and are not affine, as `LayerNorm`.
        not_reached: Names of modules with parameters of their own that did not run as modules.
    """

    affine: tuple[Part, ...]
    not_affine: tuple[str, ...]
    not_reached: tuple[str, ...]


def affine_parts(model: nn.Module, input_shape: tuple[int, ...], *, joint: bool = False) -> tuple[Part, ...]:
    """List the convolutions, dense layers and batch normalisations of a network, in order of execution.

    One forward pass of one zero input, in eval mode, records the shape that each gets; modes, buffers, gradients, hooks
    and random generators are left as they are. A module that runs at several shapes is listed once for each.

    Args:
        model: Any module that maps `(B, *input_shape)`; it need not be traceable.
        input_shape: Shape of one input, without the batch.
        joint: List a convolution or dense layer whose output goes into a batch normalisation, and nowhere else, as one
            part with it.

    Returns:
        The parts that were run: convolutions, dense layers, batch normalisations, also parametrised ones; this
        library's own affine layers; and other modules with parameters and without children, if they are affine.

    Raises:
        ValueError: If the network does not accept the shape.
    """
    return find_parts(model, input_shape, joint=joint).affine


def find_parts(model: nn.Module, input_shape: tuple[int, ...], *, joint: bool = False) -> Parts:
    """List the affine parts of a network, and the modules that are none.

    Args:
        model: As of `affine_parts`.
        input_shape: As of `affine_parts`.
        joint: As of `affine_parts`.

    Returns:
        The parts, and the names of the others.

    Raises:
        ValueError: If the network does not accept the shape.
    """
    if not all(isinstance(n, int) and n >= 1 for n in input_shape):
        raise ValueError(f"input_shape={input_shape} must be positive integers, without the batch")
    modules = dict(_candidates(model))
    calls = record(model, tuple(input_shape), modules.values(), _is_layer)
    found: dict[tuple[int, tuple[int, ...]], Part | None] = {}
    parts = {id(call): _part(call, found) for call in calls}
    ran = {id(call.module) for call in calls}
    failed = dict.fromkeys(c.name for c in calls if parts[id(c)] is None and not isinstance(c.module, _WRAPPERS))
    return Parts(
        affine=tuple(_joined(calls, parts) if joint else _distinct(p for p in parts.values() if p is not None)),
        not_affine=tuple(failed),
        not_reached=tuple(name for name, m in modules.items() if id(m) not in ran and not isinstance(m, _WRAPPERS)),
    )


def _is_layer(module: nn.Module) -> bool:
    return isinstance(module, ConstrainedModule) and not isinstance(module, _WRAPPERS)


def _candidates(model: nn.Module) -> list[tuple[str, nn.Module]]:
    inside: set[int] = set()
    found = []
    for name, module in model.named_modules():
        if id(module) in inside:
            continue
        whole = _is_layer(module) or isinstance(module, _AFFINE) or parametrize.is_parametrized(module)
        if whole:
            # What a layer is made of, parametrisations included, is not listed beside it.
            inside.update(id(child) for child in module.modules())
        own = any(True for _ in module.parameters(recurse=whole))
        childless = not any(key != "parametrizations" for key, _ in module.named_children())
        if isinstance(module, (*_AFFINE, *_WRAPPERS)) or (own and (childless or _is_layer(module))):
            found.append((name, module))
    return found


def _part(call: Call, found: dict[tuple[int, tuple[int, ...]], Part | None]) -> Part | None:
    source, module = call.source, call.module
    transposed = isinstance(module, TRANSPOSED)
    if not (isinstance(source, Tensor) and source.is_floating_point() and isinstance(call.output, Tensor)):
        return None
    if isinstance(module, _WRAPPERS) or (call.extra and not transposed):
        return None
    shape = _sample_shape(module, source)
    if call.extra:
        return Part(call.name, Called(module, *call.arguments), shape)
    key = id(module), shape
    if key not in found:
        sure = isinstance(module, _AFFINE) and not (module._forward_hooks or module._forward_pre_hooks)
        affine = _has_statistics(module) and (sure or _is_affine(module, shape))
        found[key] = Part(call.name, module, shape) if affine else None
    return found[key]


def _sample_shape(module: nn.Module, source: Tensor) -> tuple[int, ...]:
    # Torch's layers take inputs without a batch as well.
    axes = 1
    if isinstance(module, (*CONVOLUTIONS, *TRANSPOSED)):
        axes = len(module.kernel_size) + 1
    elif isinstance(module, TTConv2d):
        axes = 3
    return tuple(source.shape[1:] if source.dim() > axes else source.shape)


# Without running statistics, a normalisation uses those of its input, in eval mode, too.
def _has_statistics(module: nn.Module) -> bool:
    return not isinstance(module, NORMS) or module.running_mean is not None


def _is_affine(module: nn.Module, shape: tuple[int, ...]) -> bool:
    try:
        AffineMap(module, shape)
    except (ValueError, RuntimeError):
        return False
    return True


def _distinct(parts: Iterable[Part]) -> Iterable[Part]:
    seen: dict[tuple[Any, ...], Part] = {}
    for part in parts:
        modules = part.module if isinstance(part.module, nn.Sequential) else [part.module]
        own = tuple((id(m.module), repr((m.args, m.kwargs))) if isinstance(m, Called) else id(m) for m in modules)
        seen.setdefault((own, part.input_shape), part)
    return seen.values()


def _joined(calls: list[Call], parts: dict[int, Part | None]) -> Iterable[Part]:
    listed: list[Part] = []
    taken: set[int] = set()
    for call in calls:
        part = parts[id(call)]
        if part is None or id(call) in taken:
            continue
        norm = None if isinstance(call.module, NORMS) else _only_norm(call)
        last = None if norm is None else parts[id(norm)]
        if norm is not None and last is not None:
            taken.add(id(norm))
            part = Part(f"{part.name} + {last.name}", nn.Sequential(part.module, last.module), part.input_shape)
        listed.append(part)
    return _distinct(listed)


def _only_norm(call: Call) -> Call | None:
    if call.used or len(call.takers) != 1 or not isinstance(call.takers[0].module, NORMS):
        return None
    return call.takers[0]
