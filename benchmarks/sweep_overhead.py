"""What a sweep costs beside its trainings: a study of trials that do nothing, shared by worker processes.

usage: python -m benchmarks.sweep_overhead [--trials 1000] [--workers 2] [--storage URL]

Prints seconds for planning the study, and milliseconds for each trial and worker, from the moment all workers are
ready until the last has found that nothing is left: claiming the trial, its lease and files, its parameters and value.
A trial here writes its configuration and its record, as all do, and no training.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import torch

from onelip.experiments.machine import describe_machine
from onelip.experiments.run_folder import RunFolder
from onelip.experiments.sweep.creation import make_sweep
from onelip.experiments.sweep.files import SweepFolder
from onelip.experiments.sweep.spec import read_sweep
from onelip.experiments.sweep.study import Study
from onelip.experiments.sweep.worker import Worker

SWEEP = """
base: digits
name: nothing
optimizer: {lr: !loguniform [1e-3, 1e-1]}
"""


def nothing(config: Any, folder: RunFolder, **_: Any) -> None:
    """Leave one row of metrics, as the shortest of trainings would.

    Args:
        config: Not used.
        folder: Where.
    """
    del config
    folder.metrics_file.write_text("epoch,val_certified_accuracy\n0,0.5\n")


def work(folder: str, url: str, ready: Barrier) -> None:
    """Be a worker.

    Args:
        folder: The sweep's.
        url: Its storage.
        ready: Passed when all are ready, and when all have ended.
    """
    worker = Worker(SweepFolder(Path(folder)), url, "search", nothing)
    ready.wait()
    worker.run()
    ready.wait()


def main() -> None:
    """Measure, print, and check that every trial was run once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--storage", help="URL; by default an SQLite file in the sweep's folder")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "sweep.yaml"
        file.write_text(f"{SWEEP}runs_dir: {place}/runs\nsweep: {{trials: {options.trials}}}\n")
        spec = read_sweep(str(file))
        folder = SweepFolder(spec.folder)
        begin = time.perf_counter()
        url = make_sweep(spec, folder, options.storage, "search")
        planned = time.perf_counter() - begin
        context = multiprocessing.get_context("spawn")
        ready = context.Barrier(options.workers + 1)
        workers = [context.Process(target=work, args=(str(folder.path), url, ready)) for _ in range(options.workers)]
        for worker in workers:
            worker.start()
        ready.wait()
        begin = time.perf_counter()
        ready.wait()
        seconds = time.perf_counter() - begin
        for worker in workers:
            worker.join()
        trials = Study(url, folder.study_name("search"), spec.distributions).trials()
    assert [t.state for t in trials] == ["complete"] * options.trials, "some trials have not ended well"
    each = 1e3 * seconds * options.workers / options.trials
    print(
        f"{describe_machine(torch.device('cpu'))}; {options.trials} trials, {options.workers} workers, "
        f"{url.split(':')[0]}"
    )
    print(f"planned in {planned:.2f} s ({1e3 * planned / options.trials:.2f} ms a trial)")
    print(f"run in {seconds:.2f} s: {1e3 * seconds / options.trials:.2f} ms a trial, {each:.2f} ms of a worker")


if __name__ == "__main__":
    main()
