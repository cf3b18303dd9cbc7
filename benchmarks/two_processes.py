"""Train the digits in two processes again and again: exit codes, and the difference from one process over 20 steps.

    python benchmarks/two_processes.py [--runs 20] [--launcher fork|onelip|torchrun]

All trainings are of 20 steps with the same batches; the loss of each is read from TensorBoard's files. "fork" copies
this program, which has imported everything, twice for each training and certifies nothing, so that a run takes seconds;
each copy ends as any Python program does. The others start the command as a user does, certificate and report included.
Exit code 1 if a process ends with another exit code than 0, or a loss differs by more than 1e-5.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from onelip.experiments import commands, latest_run

CHANGES = [
    "trainer.max_epochs=2", "trainer.max_steps=20", "trainer.validate_every=1", "trainer.log_every=1",
    "trainer.threads=1", "model.widths=[64, 64]", "certify.max_samples=10", "attack=null",
]  # fmt: skip
"""Ten steps in each epoch, on 128 images each."""

LAUNCHERS = {
    "onelip": ["-m", "onelip"],
    "torchrun": ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "onelip"],
}


def forked(runs: Path, devices: int) -> list[int]:
    """Train in copies of this process; return their exit codes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    copies = []
    for rank in range(devices):
        copies.append(os.fork())
        if copies[-1] == 0:
            # As torchrun does, except for one process.
            numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": devices, "LOCAL_WORLD_SIZE": devices}
            places = {name: str(number) for name, number in numbers.items()}
            os.environ.update({**places, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port} if devices > 1 else {})
            commands._evaluate = lambda experiment, folder: None
            commands.train("digits", [*CHANGES, f"trainer.devices={devices}", f"runs_dir={runs}"], resume=False)
            sys.exit(0)
    return [os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1]) for copy in copies]


def started(launcher: str, runs: Path, devices: int) -> list[int]:
    """Train by the command; return its exit code."""
    command = [sys.executable, *LAUNCHERS["onelip" if devices == 1 else launcher], "train", "digits", *CHANGES]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, f"trainer.devices={devices}", f"runs_dir={runs}"], env=environment, check=False)
    return [done.returncode]


def losses(runs: Path) -> list[float]:
    """Read the loss of each step of the latest run."""
    events = EventAccumulator(str(latest_run("digits", runs).tensorboard))
    events.Reload()
    return [event.value for event in events.Scalars("train_step_loss")]


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--launcher", choices=["fork", *LAUNCHERS], default="fork")
    arguments = parser.parse_args()

    def trained(runs: Path, devices: int) -> list[int]:
        return forked(runs, devices) if arguments.launcher == "fork" else started(arguments.launcher, runs, devices)

    # Not a context, which copies of this program would end, too.
    folder = Path(tempfile.mkdtemp())
    codes, largest = Counter(trained(folder / "one", 1)), 0.0
    expected = losses(folder / "one")
    for number in range(arguments.runs):
        runs = folder / f"two-{number}"
        ended = trained(runs, 2)
        codes.update(ended)
        if not any(ended):
            largest = max(largest, *(abs(a - b) for a, b in zip(losses(runs), expected, strict=True)))
        print(f"training {number + 1}: exit codes {ended}, largest difference {largest:.2e}", flush=True)
    shutil.rmtree(folder)
    print(f"how often each exit code, the one of one process included: {dict(codes)}")
    print(f"largest difference of a loss over {len(expected)} steps, from {expected[0]:.4f} on: {largest:.2e}")
    sys.exit(not (set(codes) == {0} and len(expected) == 20 and largest <= 1e-5))


if __name__ == "__main__":
    main()
