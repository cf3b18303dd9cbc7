"""A value that is kept until one of the tensors it was computed from changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


def _fingerprint(tensor: Tensor) -> tuple[Any, ...]:
    # `.to()` swaps the storage behind the same Parameter without touching `_version`, hence the pointer.
    return tensor._version, tensor.data_ptr(), tensor.dtype, tensor.device, tensor.shape


def _cacheable(tensor: Tensor) -> bool:
    wrapped = torch._C._functorch.is_functorch_wrapped_tensor(tensor)
    return not (wrapped or tensor.is_meta or tensor.is_inference())


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
