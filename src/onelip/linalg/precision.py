"""Keep constraints and proofs out of reduced precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def full_precision() -> Iterator[None]:
    """Switch autocast and TF32 off inside the block, so that float32 means float32.

    Autocast would build a constrained weight in bfloat16 (measured: norm 1.035 for a 64-channel kernel), TF32 in
    10 bits of mantissa. Under `torch.compile` only autocast is handled, since the TF32 switches are global state
    that cannot be traced; set them off yourself there (`onelip doctor` says whether they are).

    Yields:
        Nothing.
    """
    if torch.compiler.is_compiling():
        with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
            yield
        return
    matmul, cudnn = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    try:
        with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = matmul, cudnn
