"""Run every check; one that raises is itself a finding."""

from __future__ import annotations

from collections.abc import Callable

from onelip.experiments.doctor import environment, numerics
from onelip.experiments.doctor.check import Check

CHECKS: tuple[tuple[str, Callable[[], Check]], ...] = (
    ("versions", environment.versions),
    ("threads", environment.threads),
    ("GPU", environment.gpu),
    ("float64 products and sums", numerics.accumulation),
    ("Cholesky", numerics.cholesky),
    ("QR", numerics.qr),
    ("SVD", numerics.svd),
    ("eigh", numerics.eigh),
    ("triangular solve", numerics.triangular_solve),
    ("LU (solve, inv, lu_factor)", numerics.lu),
    ("FFT", numerics.fft),
    ("bfloat16 convolution", numerics.bfloat16_convolution),
    ("repeatable convolution", numerics.repeatable_convolution),
    ("subnormal numbers", numerics.subnormals),
    ("TF32", environment.tf32),
    ("optional packages", environment.optional_packages),
    ("torchvision", environment.torchvision),
    ("disk", environment.disk),
)


def run_checks() -> list[Check]:
    """Examine the machine as it is set up now; takes a few seconds and writes nothing.

    Returns:
        The outcome of every check. Whatever a check raises makes it "broken".
    """
    return [_run(name, check) for name, check in CHECKS]


def _run(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    # Any exception at all is what the check is for.
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        return Check(name, "broken", f"raised {type(error).__name__}: {reason}", "reinstall torch, or report this")
