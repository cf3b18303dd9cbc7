"""What every test relies on: one thread, seeded generators, the root on the path, exceptions counted in the summary."""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

if sys.dont_write_bytecode:
    # Every process that a test starts would compile torch and Lightning anew: 8 s. Byte code goes where no source is.
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(Path(__file__).parents[1] / ".pytest_cache" / "bytecode")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix

import numpy as np
import pytest
import torch
from hypothesis import settings

# Tests share code as `tests.contract...`; with --import-mode=importlib nothing else makes that importable.
sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.seeding import seed

torch.set_num_threads(1)

# A shell without job control starts background commands with Ctrl-C ignored, and their children inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples for everyone, so that a commit is either green or red, at whatever pace the machine runs.
# `pytest --hypothesis-profile=explore` looks for new counterexamples.
settings.register_profile("reproducible", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None)
settings.load_profile("reproducible")


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


@pytest.hookimpl(tryfirst=True)
def pytest_make_collect_report(collector: pytest.Collector) -> None:
    """Seed what files of tests draw when they are imported, so that it does not depend on the files before them."""
    if isinstance(collector, pytest.Module):
        seed(0)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    seed(0)
    np.random.seed(0)  # noqa: NPY002  (code under test may use the global generator)
    random.seed(0)


@pytest.fixture(autouse=True)
def _process_left_as_it_was() -> Iterator[None]:
    before = _settings_of_the_process()
    yield
    after = _settings_of_the_process()
    changed = {name: (before[name], after[name]) for name in before if before[name] != after[name]}
    assert not changed, f"what comes after this test would depend on it: {changed}"


def _settings_of_the_process() -> dict[str, object]:
    return {
        **{number.name: signal.getsignal(number) for number in _SIGNALS},
        "working directory": os.getcwd(),
        "threads": torch.get_num_threads(),
        "default dtype": torch.get_default_dtype(),
        "gradients": torch.is_grad_enabled(),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
    }


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print every layer's exceptions from the contract: silence must cost something."""
    layers = sys.modules.get("onelip.layers")
    if layers is None:
        return
    excepted = [(r, name, reason) for r in layers.records() for name, reason in r.exceptions.items()]
    terminalreporter.section(f"layer contract: {len(excepted)} exceptions in {len(layers.records())} records")
    for record, name, reason in excepted:
        terminalreporter.line(f"{record.kind} {record.name}: {name}: {reason}")
