"""A value that is kept until one of the tensors it was computed from changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.autograd.graph import increment_version
from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook
from typing_extensions import override


def _count_fused_step(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
    # The fused kernels of torch 2.13 write to parameters without counting it.
    for group in optimizer.param_groups:
        if group.get("fused"):
            increment_version([p for p in group["params"] if p.grad is not None])


register_optimizer_step_post_hook(_count_fused_step)


def _fingerprint(tensor: Tensor) -> tuple[Any, ...]:
    # `.to()` swaps the storage behind the same Parameter without touching `_version`, hence the pointer.
    return tensor._version, tensor.data_ptr(), tensor.dtype, tensor.device, tensor.shape


def _cacheable(tensor: Tensor) -> bool:
    wrapped = torch._C._functorch.is_functorch_wrapped_tensor(tensor)
    return not (wrapped or tensor.is_meta or tensor.is_inference())


class _Recomputed(torch.autograd.Function):
    """A known value of a function, whose gradients come from computing it again."""

    @staticmethod
    @override
    def forward(ctx: Any, value: Tensor, compute: Callable[..., Tensor], *sources: Tensor) -> Tensor:
        ctx.compute = compute
        ctx.save_for_backward(*sources)
        # The graph is attached to what is returned, which must not be the tensor that is kept.
        return value.detach()

    @staticmethod
    @override
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        sources = ctx.saved_tensors
        wanted = [s for s, needed in zip(sources, ctx.needs_input_grad[2:], strict=True) if needed]
        again = torch.is_grad_enabled()
        with torch.enable_grad():
            value = ctx.compute(*sources)
        found = iter(torch.autograd.grad(value, wanted, grads, create_graph=again, allow_unused=True))
        return None, None, *(next(found) if needed else None for needed in ctx.needs_input_grad[2:])


class TensorCache:
    """Keeps one tensor until a source of it is replaced, modified in place or moved.

    The key is the identity, version counter and storage of every source, so an optimiser step, `load_state_dict`,
    `.to()` or an in-place edit invalidates it. Edits through `.data` escape the version counter, as they escape
    autograd. The value is not copied by `copy.deepcopy` nor pickled.
    """

    def __init__(self) -> None:
        self._sources: tuple[Tensor, ...] = ()
        self._fingerprints: tuple[tuple[Any, ...], ...] = ()
        self._storages: tuple[Tensor, ...] = ()
        self._value: Tensor | None = None
        self._version = 0

    def get(self, sources: Sequence[Tensor], compute: Callable[[], Tensor]) -> Tensor:
        """Return the kept value, or compute and keep it.

        Args:
            sources: Every tensor that the value depends on.
            compute: Function that computes the value from them.

        Returns:
            The value, without gradient. It is computed anew, and not kept, if gradients with respect to a source
            are wanted, or if a source is a functorch, meta or inference tensor, or while compiling.
        """
        if torch.compiler.is_compiling() or not all(map(_cacheable, sources)):
            return compute()
        if torch.is_grad_enabled() and any(s.requires_grad for s in sources):
            return compute()
        return self._kept(sources, compute)

    def differentiable(self, sources: Sequence[Tensor], compute: Callable[..., Tensor]) -> Tensor:
        """Return the kept value, also where gradients with respect to the sources are wanted.

        These are found by computing the value once more in the backward pass, which does nothing of the kind where only
        other gradients are asked for: an attack on the inputs of a network whose parameters require gradients computes
        each weight once, not at every step.

        Args:
            sources: Every tensor that the value depends on.
            compute: Pure function that computes the value from them.

        Returns:
            The value, differentiable to any order. It is computed anew, and not kept, where `get` does not keep it for
            other reasons than gradients, and where a transform of torch.func or forward differentiation is active.
        """
        if not torch.is_grad_enabled() or not any(s.requires_grad for s in sources):
            return self.get(sources, lambda: compute(*sources))
        transformed = torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0
        if transformed or torch.compiler.is_compiling() or not all(map(_cacheable, sources)):
            return compute(*sources)
        value: Tensor = _Recomputed.apply(self._kept(sources, lambda: compute(*sources)), compute, *sources)
        return value

    def _kept(self, sources: Sequence[Tensor], compute: Callable[[], Tensor]) -> Tensor:
        fingerprints = tuple(map(_fingerprint, sources))
        same = len(sources) == len(self._sources) and all(a is b for a, b in zip(sources, self._sources, strict=True))
        # The value's own version: the caller was handed this very tensor and may have edited it in place.
        intact = self._value is not None and self._value._version == self._version
        if self._value is None or not intact or not same or fingerprints != self._fingerprints:
            # Outside inference mode, since an inference tensor could never take part in autograd later.
            with torch.inference_mode(False), torch.no_grad():
                self._value = compute()
            self._version = self._value._version
            self._sources, self._fingerprints = tuple(sources), fingerprints
            # Aliases keep the storages alive: else `.float().double()` may be given the same addresses again.
            self._storages = tuple(s.detach() for s in sources)
        return self._value

    def clear(self) -> None:
        """Forget the value."""
        self._sources, self._fingerprints, self._storages, self._value = (), (), (), None

    def __reduce__(self) -> tuple[type[TensorCache], tuple[()]]:
        return TensorCache, ()
