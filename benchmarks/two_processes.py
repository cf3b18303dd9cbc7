"""Train the digits in two processes again and again: exit codes, and the difference from one process over 20 steps.

    python benchmarks/two_processes.py [--runs 20] [--launcher onelip|torchrun] [--keep FOLDER]

Both trainings are of 20 steps with the same batches, each in a program of its own; the loss of every step is read from
TensorBoard's files. Exit code 1 if a program ends with another exit code than 0, or a loss differs by more than 1e-5.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from onelip.experiments import latest_run

CHANGES = [
    "trainer.max_epochs=2", "trainer.max_steps=20", "trainer.validate_every=1", "trainer.log_every=1",
    "trainer.threads=1", "model.widths=[64, 64]", "certify.max_samples=10", "attack=null",
]  # fmt: skip
"""Ten steps in each epoch, on 128 images each."""

ONELIP = [sys.executable, "-m", "onelip"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "onelip"]


def losses(command: list[str], runs: Path, devices: int) -> tuple[int, list[float]]:
    """Train once; return the exit code and the loss of each step."""
    arguments = ["train", "digits", *CHANGES, f"trainer.devices={devices}", f"runs_dir={runs}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        print(done.stdout, done.stderr)
        return done.returncode, []
    events = EventAccumulator(str(latest_run("digits", runs).tensorboard))
    events.Reload()
    return 0, [event.value for event in events.Scalars("train_step_loss")]


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--launcher", choices=["onelip", "torchrun"], default="onelip")
    parser.add_argument("--keep", type=Path, help="Folder for the runs; by default they are deleted.")
    arguments = parser.parse_args()
    command = ONELIP if arguments.launcher == "onelip" else TORCHRUN
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        _, expected = losses(ONELIP, folder / "one", 1)
        codes, largest = Counter[int](), 0.0
        for number in range(arguments.runs):
            code, found = losses(command, folder / "two", 2)
            codes[code] += 1
            if code == 0:
                largest = max(largest, *(abs(a - b) for a, b in zip(found, expected, strict=True)))
            print(f"run {number + 1}: exit code {code}, {len(found)} steps", flush=True)
    print(f"exit codes of {arguments.runs} runs: {dict(codes)}")
    print(f"largest difference of a loss over {len(expected)} steps, from {expected[0]:.4f} on: {largest:.2e}")
    sys.exit(not (set(codes) == {0} and len(expected) == 20 and largest <= 1e-5))


if __name__ == "__main__":
    main()
