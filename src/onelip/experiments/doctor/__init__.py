"""Checks of the user's machine: linear algebra, FFT, precision, threads, packages."""

from onelip.experiments.doctor.check import Check, format_checks
from onelip.experiments.doctor.examination import run_checks

__all__ = ["Check", "format_checks", "run_checks"]
