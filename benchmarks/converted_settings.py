"""Convert the search settings of "1-Lipschitz Layers Compared", seven methods x three sizes, and start each.

usage: python -m benchmarks.converted_settings [FOLDER] [--batch 4] [--only METHOD ...]

For each, a `settings.yml` is written in the shape that the paper's repository has, `onelip convert` makes a sweep of
it, the sweep draws its first trial, and that is trained for a step, with made-up images of CIFAR-10's shape and small
batches: batches, loss, backward, step, a validation and the proof of its constant, by what `onelip bench budget`
measures epochs with. The sizes are the full ones. Prints a line for each; exit code 1 if one fails.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.experiments.convert.settings_files import METHODS, SIZES, search_settings

from onelip.experiments.bench.epoch_time import measure_epoch
from onelip.experiments.config import ExperimentConfig
from onelip.experiments.errors import UserError
from onelip.experiments.sweep.plan import plan_search
from onelip.experiments.sweep.spec import read_sweep


def start(folder: Path, method: str, size: str, batch: int) -> str:
    """Convert one of the settings, and train its first trial for a step.

    Args:
        folder: Where the files go.
        method: The layer.
        size: The model.
        batch: Images in a batch.

    Returns:
        What was done.
    """
    source = folder / f"{size}-{method}.yml"
    source.write_text(search_settings(method, size), encoding="utf-8")
    out = source.with_suffix(".yaml")
    words = [sys.executable, "-m", "onelip", "convert", str(source), "--out", str(out)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(done.stderr)
    spec = read_sweep(str(out), [f"data.batch_size={batch}", f"data.eval_batch_size={batch}"])
    trial = plan_search(spec)[0]
    config = spec.config(trial.cell, trial.params or {}, trial.changes, (str(folder), "started"))
    assert isinstance(config, ExperimentConfig), "all are classifiers"
    begin = time.perf_counter()
    measured = measure_epoch(config, steps=1, max_seconds=1.0, warm_up=0)
    n_trials = len(plan_search(spec))
    rate = config.optimizer.lr
    return (
        f"{n_trials} trials; the first, lr {rate:.2g}: a step of {batch} images in "
        f"{measured.seconds_per_step:.2f} s, all in {time.perf_counter() - begin:.0f} s"
    )


def main() -> int:
    """Convert and start all.

    Returns:
        Exit code.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--only", nargs="*", choices=METHODS, default=list(METHODS))
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="onelip-settings-"))
    folder.mkdir(parents=True, exist_ok=True)
    failed = 0
    for size in SIZES:
        for method in arguments.only:
            try:
                print(f"{size} {method}: {start(folder, method, size, arguments.batch)}", flush=True)
            except UserError as error:
                failed += 1
                print(f"{size} {method}: FAILED, {error}", flush=True)
    print(f"{failed} of {len(SIZES) * len(arguments.only)} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
