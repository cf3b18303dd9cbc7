"""The kind of machine that figures were measured on."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import torch

import onelip


def processor() -> str:
    """Name the processor.

    Returns:
        Its model, or its architecture where the system does not tell.
    """
    information = Path("/proc/cpuinfo")
    lines = information.read_text("utf-8").splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def machine_in_numbers() -> dict[str, Any]:
    """Say what results were computed on, as a part of `results.json`.

    Returns:
        Processor, cores, and versions of torch and onelip.
    """
    return {
        "cpu": processor(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "onelip": onelip.__version__,
    }


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
