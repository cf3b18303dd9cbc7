"""What the machine offers and how it is set up: versions, threads, GPU, precision switches, packages, disk."""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
import shutil
import warnings
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import torch

import onelip
from onelip.experiments.doctor.check import Check

OPTIONAL = {
    "train": (
        "lightning", "pydantic", "ruamel.yaml", "typer", "rich", "safetensors", "schedulefree", "tensorboard",
        "matplotlib", "jinja2", "pillow",
    ),
    "attacks": ("foolbox",),
}  # fmt: skip
"""Packages of each extra."""

ENOUGH_DISK = 2 * 10**9
"""Bytes that checkpoints and data sets may need."""


def versions() -> Check:
    """Name the versions that everything depends on.

    Returns:
        The outcome.
    """
    detail = (
        f"onelip {onelip.__version__}, torch {torch.__version__}, numpy {np.__version__}, "
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    )
    return Check("versions", "ok", detail)


def threads() -> Check:
    """Compare torch's threads with the cores that this process may use.

    Returns:
        The outcome.
    """
    n_threads, cores = torch.get_num_threads(), _usable_cores()
    detail = f"torch uses {n_threads} of {cores} usable cores"
    if n_threads > cores:
        return Check("threads", "warn", detail, f"set OMP_NUM_THREADS={cores}; more threads than cores are slower")
    return Check("threads", "ok", detail)


def gpu() -> Check:
    """Look for accelerators that torch can use.

    Returns:
        The outcome.
    """
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]
        return Check("GPU", "ok", ", ".join(names))
    if torch.backends.mps.is_available():
        return Check("GPU", "ok", "Apple MPS; certificates are computed on the CPU, since it has no float64")
    if torch.version.cuda is not None:
        advice = "check the driver with nvidia-smi; training runs on the CPU"
        return Check("GPU", "warn", f"torch is built for CUDA {torch.version.cuda} but sees no device", advice)
    return Check("GPU", "ok", "none; this build of torch is for the CPU")


def tf32() -> Check:
    """Read the switches that let float32 products on a GPU keep 10 bits of mantissa.

    Returns:
        The outcome.
    """
    on = [
        name
        for name, backend in (("matmul", torch.backends.cuda.matmul), ("cudnn", torch.backends.cudnn))
        if backend.allow_tf32
    ]
    if not on or not torch.cuda.is_available():
        return Check("TF32", "ok", f"allowed in {' and '.join(on)}; no GPU to use it" if on else "off")
    advice = (
        "onelip switches it off where it builds and proves weights, except under torch.compile; "
        "torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False switches it off for good"
    )
    return Check("TF32", "warn", f"allowed in {' and '.join(on)}", advice)


def optional_packages() -> Check:
    """Look for the packages of the extras.

    Returns:
        The outcome.
    """
    missing = {extra: [name for name in names if _version(name) is None] for extra, names in OPTIONAL.items()}
    missing = {extra: names for extra, names in missing.items() if names}
    if not missing:
        shown = ", ".join(f"{name} {_version(name)}" for names in OPTIONAL.values() for name in names)
        return Check("optional packages", "ok", shown)
    detail = "; ".join(f"{', '.join(names)} missing" for names in missing.values())
    return Check("optional packages", "warn", detail, f"pip install 'onelip[{','.join(missing)}]'")


def torchvision() -> Check:
    """Import torchvision if it is there: one built for another torch breaks the packages that load it.

    Returns:
        The outcome.
    """
    if importlib.util.find_spec("torchvision") is None:
        return Check("torchvision", "ok", "not installed, not needed")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module("torchvision")
    # Whatever it raises, it cannot be imported.
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        advice = "install the version for your torch, or uninstall it; onelip does not need it but lightning loads it"
        return Check("torchvision", "broken", f"cannot be imported: {type(error).__name__}: {reason}", advice)
    return Check("torchvision", "ok", str(_version("torchvision")))


def disk() -> Check:
    """Look at the free space where the command is run.

    Returns:
        The outcome.
    """
    free = shutil.disk_usage(".").free
    detail = f"{free / 1e9:.1f} GB free in {os.getcwd()}"
    if free < ENOUGH_DISK:
        return Check("disk", "warn", detail, "free some space, or choose another place with runs_dir=PATH")
    return Check("disk", "ok", detail)


def _usable_cores() -> int:
    # Not on every system: os.sched_getaffinity knows of limits on this process.
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
