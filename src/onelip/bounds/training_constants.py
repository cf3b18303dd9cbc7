"""Estimate the Lipschitz constants of all differences of logits, differentiably, for losses that use them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Never

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.bounds.dense_head import DenseHead, dense_head
from onelip.bounds.errors import UnknownLipschitzConstant
from onelip.bounds.registry import Refused, has_module_rule, module_bound
from onelip.layers import ConstrainedModule, ConvexResidual, Join, Residual, Sum
from onelip.linalg import Bound, full_precision
from onelip.linalg.operator_norm import operator_norm

Norm = Tensor | float
Named = tuple[str, nn.Module]

_MAX_POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
_ADAPTIVE_MAX_POOLS = (nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d)
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def training_constants(model: nn.Module, n_classes: int | None = None) -> Tensor:
    """Estimate the constants of all differences of logits: entry (i, j) is that of z_i - z_j, from pixels, in l2.

    For a chain that ends with a dense layer of rows w_i, entry (i, j) is L ||w_i - w_j||, with L the product of the
    constants of all layers before; for branches that are joined at the end, the sum of the constants of the two; for
    other ends sqrt 2 L. Layers of this library count 1 unless they have a
    `norm_estimate`, as those do whose norm is not at most 1 by construction. Dense layers and convolutions of torch
    count a bound by Gram iteration, and other modules what `lipschitz_bound` says. Skip connections follow from their
    branches, through which no gradient passes.

    It is for training, and an *estimate*: nothing is rounded up, layers are trusted to be what their class says, and
    estimates by a few steps of an iteration may be too small. Certificates are made of `lipschitz_bound`.

    Args:
        model: Layers, `nn.Sequential` and skip connections of this library, nested in any way.
        n_classes: Number of logits, needed where the last layers do not say it.

    Returns:
        `(n_classes, n_classes)`, symmetric with zero diagonal; differentiable in the weights while in training mode.

    Raises:
        UnknownLipschitzConstant: If a module is something else, or its constant depends on the size of the image.
        ValueError: If `n_classes` is needed, or is not the number of logits.

    Cost: the head's weight once more, unless it is orthogonal, and the estimates.
    """
    chain = list(_chain(model, ""))
    with full_precision():
        if chain and isinstance(chain[-1][1], Join):
            return _joined(chain[:-1], chain[-1][1], n_classes)
        head = dense_head([module for _, module in chain])
        if head is None:
            found = _last_width(chain) if n_classes is None else n_classes
            return _product(chain) * _root_two(found, _like(model))
        if n_classes not in (None, head.n_classes):
            raise ValueError(f"n_classes={n_classes} in training_constants, but the model has {head.n_classes} logits")
        return _product(chain[: head.index]) * _distances(head)


def _joined(before: Sequence[Named], join: Join, n_classes: int | None) -> Tensor:
    branches = [list(_chain(branch, f"branches.{i}")) for i, branch in enumerate(join.branches)]
    widths = [_last_width(branch) for branch in branches]
    if n_classes not in (None, sum(widths)):
        raise ValueError(f"n_classes={n_classes} in training_constants, but the model has {sum(widths)} logits")
    like, entering = _like(join), _product(before)
    norms = torch.stack(
        [torch.as_tensor(_product(branch), device=like.device, dtype=like.dtype) for branch in branches]
    )
    part = torch.repeat_interleave(torch.arange(len(widths)), torch.tensor(widths)).to(like.device)
    own = norms[part] * entering
    sums = torch.where(part[:, None] == part, math.sqrt(2) * own[:, None], own[:, None] + own)
    return sums * _off_diagonal(like, len(part))


def _distances(head: DenseHead) -> Tensor:
    layer = head.layer
    if isinstance(layer, ConstrainedModule) and layer.orthogonal and layer.out_features <= layer.in_features:
        # Orthonormal rows, so that the weight need not be built again.
        return _root_two(head.n_classes, _like(layer))
    rows = head.rows()
    squares = torch.cdist(rows, rows)
    # Beyond 25 rows cdist goes through products, which leave rounding on the diagonal.
    return ((squares + squares.T) / 2) * _off_diagonal(rows, head.n_classes)


def _root_two(n_classes: int, like: Tensor) -> Tensor:
    return math.sqrt(2) * _off_diagonal(like, n_classes)


def _off_diagonal(like: Tensor, n: int) -> Tensor:
    return 1 - torch.eye(n, device=like.device, dtype=like.dtype)


def _like(model: nn.Module) -> Tensor:
    return next((t for t in model.parameters() if t.is_floating_point()), torch.empty(0))


def _chain(module: nn.Module, name: str) -> Iterator[Named]:
    if isinstance(module, nn.Sequential):
        for key, child in module.named_children():
            yield from _chain(child, f"{name}.{key}" if name else key)
    else:
        yield name or "model", module


def _last_width(chain: Sequence[Named]) -> int:
    for _, module in reversed(chain):
        width = getattr(module, "out_features", getattr(module, "out_channels", None))
        if isinstance(width, int):
            return width
    raise ValueError("n_classes=None in training_constants, and no layer says how many logits there are; give it")


def _product(chain: Sequence[Named]) -> Norm:
    total: Norm = 1.0
    for name, module in chain:
        total = total * _norm(module, name)
    return total


def _norm(module: nn.Module, name: str) -> Norm:
    own = getattr(module, "norm_estimate", None)
    if own is not None:
        return own()
    if isinstance(module, nn.Sequential):
        return _product(list(_chain(module, name)))
    if isinstance(module, Sum):
        return sum((_norm(branch, f"{name}.branches.{i}") for i, branch in enumerate(module.branches)), 0.0)
    if isinstance(module, (Residual, ConvexResidual)):
        return _of_residual(module, name)
    if isinstance(module, ConstrainedModule):
        return 1.0
    return _of_torch(module, name)


def _of_residual(module: Residual | ConvexResidual, name: str) -> float:
    if isinstance(module, Residual):
        norm = _norm(module.fn, f"{name}.fn")
        return 1.0 if norm == 1.0 else module.bound_from(_estimate(norm)).value
    norms = [_norm(branch, f"{name}.branches.{i}") for i, branch in enumerate(module.branches)]
    # Without a look at the learned weights, which a GPU would have to be waited for.
    return 1.0 if all(norm == 1.0 for norm in norms) else module.bound_from([*map(_estimate, norms)]).value


def _estimate(norm: Norm) -> Bound:
    value = norm.detach() if isinstance(norm, Tensor) else norm
    return Bound(float(value), False, "training estimate")


def _of_torch(module: nn.Module, name: str) -> Norm:
    if isinstance(module, nn.Linear):
        return operator_norm(module.weight[:, :, None, None])[0]
    if isinstance(module, nn.Conv2d) and module.padding_mode in ("zeros", "circular"):
        stride, dilation = (module.stride[0], module.stride[1]), (module.dilation[0], module.dilation[1])
        return operator_norm(module.weight, stride=stride, dilation=dilation, groups=module.groups).amax()
    if isinstance(module, _BATCH_NORMS) and module.running_var is not None:
        factors = (module.running_var + module.eps).rsqrt()
        return (factors if module.weight is None else factors * module.weight.abs()).amax()
    if _is_apart(module):
        return 1.0
    try:
        bound = module_bound(module, _UnknownShape()) if has_module_rule(module) else None
    except Refused as refusal:
        raise UnknownLipschitzConstant(name, type(module).__name__, str(refusal)) from refusal
    if bound is None:
        reason = "training_constants looks into nn.Sequential and skip connections only; give it a norm_estimate()"
        raise UnknownLipschitzConstant(name, type(module).__name__, reason)
    return bound.value


def _is_apart(module: nn.Module) -> bool:
    # Maxima over windows that do not overlap, for every size of the image.
    if isinstance(module, _ADAPTIVE_MAX_POOLS):
        return module.output_size in (1, (1,), (1, 1), (1, 1, 1))
    if not isinstance(module, _MAX_POOLS) or module.dilation not in (1, (1,), (1, 1), (1, 1, 1)):
        return False
    sizes = zip(_sizes(module.kernel_size), _sizes(module.stride), strict=True)
    return all(kernel <= stride for kernel, stride in sizes)


def _sizes(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return (value,) * 3 if isinstance(value, int) else (*value, *value[-1:] * (3 - len(value)))


class _UnknownShape(tuple[int, ...]):
    """The shape of an image of unknown size: rules that look at it have no answer."""

    __slots__ = ()

    def _refuse(self) -> Never:
        raise Refused("its constant depends on the size of the image, which training_constants does not know")

    @override
    def __len__(self) -> int:  # noqa: PLE0303  (it has no length)
        self._refuse()

    @override
    def __iter__(self) -> Iterator[int]:
        self._refuse()

    @override
    def __getitem__(self, index: object) -> Never:
        self._refuse()
