"""The most memory that tensors take at once while a function runs."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def peak_bytes(run: Callable[[], None], held: Iterable[Tensor], device: torch.device) -> int:
    """Measure the largest number of bytes that tensors take at once.

    On a GPU that is what torch's allocator reports, scratch space of kernels from that allocator included. On a CPU,
    which has no such counter, the storages of all tensors that operations return are counted as long as they live,
    backward passes included; scratch space inside an operation is not seen.

    Args:
        run: The function.
        held: Tensors that exist before and are part of the cost, such as parameters and inputs.
        device: Where it computes.

    Returns:
        The peak: what is held and what is allocated meanwhile.
    """
    held = list(held)
    if device.type == "cuda":
        before = sum(_storages(held).values())
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        start = torch.cuda.memory_allocated(device)
        run()
        torch.cuda.synchronize(device)
        return before + torch.cuda.max_memory_allocated(device) - start
    with LiveStorages(held) as live:
        run()
    return live.peak


class LiveStorages(TorchDispatchMode):
    """Counts the bytes of the storages that are alive, while it is entered.

    Args:
        held: Tensors that are counted from the start.
    """

    def __init__(self, held: Iterable[Tensor]) -> None:
        super().__init__()
        self.peak = 0
        self._alive: dict[int, int] = {}
        self._total = 0
        for tensor in held:
            self._count(tensor)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and count what it returns.

        Args:
            func: The operation.
            types: Classes of its tensors.
            args: Its arguments.
            kwargs: Its keyword arguments.

        Returns:
            Its result.
        """
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves(result):
            if isinstance(value, Tensor):
                self._count(value)
        return result

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._alive:
            return
        self._alive[key] = storage.nbytes()
        self._total += storage.nbytes()
        self.peak = max(self.peak, self._total)
        weakref.finalize(storage, self._forget, key)

    def _forget(self, key: int) -> None:
        self._total -= self._alive.pop(key)


def _storages(tensors: Iterable[Tensor]) -> dict[int, int]:
    return {t.untyped_storage()._cdata: t.untyped_storage().nbytes() for t in tensors}
