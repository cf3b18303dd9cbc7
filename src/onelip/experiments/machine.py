"""The kind of machine that figures were measured on."""

from __future__ import annotations

import platform
from pathlib import Path

import torch


def processor() -> str:
    """Name the processor.

    Returns:
        Its model, or its architecture where the system does not tell.
    """
    information = Path("/proc/cpuinfo")
    lines = information.read_text("utf-8").splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def describe_machine(device: torch.device) -> str:
    """Name what computes, and how many threads or which CUDA.

    Args:
        device: The device that is measured.

    Returns:
        Half a sentence.
    """
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}, torch {torch.__version__}"
    n_threads = torch.get_num_threads()
    threads = f"{n_threads} thread{'' if n_threads == 1 else 's'}"
    return f"{processor()}, {threads}, torch {torch.__version__}"
