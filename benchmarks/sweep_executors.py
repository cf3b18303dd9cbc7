"""One sweep on a Ray cluster that loses a machine, on Slurm with a job whose time is over, and through submitit here.

    python -m benchmarks.sweep_executors FOLDER

Starts the clusters for itself, from the tests' recipes; what is not installed is skipped. Prints the seconds that each
took, and ends with an error unless all trials have ended and have the same values everywhere. For docs/clusters.md.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.experiments.sweep.ray_nodes import ray_nodes
from tests.experiments.sweep.slurm_cluster import end_the_time, slurm_cluster

SWEEP = """
base: digits
data: {validation: 0.2}
optimizer: {lr: !loguniform [1e-3, 3e-2]}
trainer: {max_epochs: 12, validate_every: 1}
sweep:
  search: random
  trials: 3
  factors:
    method: {aoc: {layer: aoc}, bcop: {layer: bcop}, cayley: {layer: cayley}, aol: {layer: aol}}
    size: {small: {model.widths: [64, 64]}, large: {model.widths: [128, 128]}}
  metric: val_certified_accuracy
"""

ON_SLURM = ["--executor", "slurm", "--workers", "2", "--wait", "--resource"]


def ended(folder: Path) -> dict[int, float]:
    """Read the values of the trials that have ended."""
    values = {}
    for file in sorted(folder.glob("search/*/trial.json")):
        record = json.loads(file.read_text("utf-8"))
        if record.get("state") == "complete":
            values[record["trial"]] = record["value"]
    return values


def run(folder: Path, name: str, options: list[str], harm: Callable[[], None] = lambda: None) -> dict[int, float]:
    """Run the sweep; do harm to it once 10 trials have ended."""
    command = [sys.executable, "-m", "onelip", "sweep", str(folder / "sweep.yaml"), f"name={name}"]
    begun, harmed = time.monotonic(), False
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen([*command, f"runs_dir={folder}", *options], stdout=log, stderr=log)
        while process.poll() is None:
            if not harmed and len(ended(folder / name)) >= 10:
                harmed = True
                harm()
            time.sleep(0.3)
    values = ended(folder / name)
    print(f"{name}: exit code {process.returncode}, {len(values)} trials, {time.monotonic() - begun:.0f} s")
    return values


def end_the_time_of_one() -> None:
    """Tell the first running job that its time is over."""
    listed = subprocess.run(["squeue", "-hr", "-t", "R", "-o", "%i"], capture_output=True, text=True, check=True)
    end_the_time(listed.stdout.split()[0])


@contextlib.contextmanager
def skipping() -> Iterator[None]:
    """Go on with the next cluster if this one's programs are missing."""
    try:
        yield
    except pytest.skip.Exception as reason:
        print(f"skipped: {reason}")


def main(folder: Path) -> int:
    """Run it everywhere.

    Returns:
        Exit code.
    """
    folder = folder.absolute()
    folder.mkdir(parents=True)
    (folder / "sweep.yaml").write_text(SWEEP, "utf-8")
    found = [run(folder, "local", ["--workers", "2"])]
    with skipping(), ray_nodes() as nodes:
        found.append(run(folder, "ray", ["--executor", "ray", "--ray-address", nodes.address], nodes.kill_second))
    with skipping(), slurm_cluster():
        found.append(run(folder, "slurm", [*ON_SLURM, "cpus=1"], end_the_time_of_one))
    found.append(run(folder, "submitit", [*ON_SLURM, "cluster=local"]))
    same = all(values == found[0] for values in found)
    print(f"{len(found)} times {len(found[0])} trials, " + ("with the same values" if same else "with other values"))
    return 0 if same and len(found[0]) == 24 else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
