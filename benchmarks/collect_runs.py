"""How long it takes to read 10,000 runs, made in a temporary folder.

usage: python -m benchmarks.collect_runs [N]
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from pathlib import Path

from onelip.experiments.collection import collect
from onelip.experiments.config_file import dump_config, load_any_config

LAYERS = ("aoc", "bcop", "cayley", "aol")
EPOCHS = 50


def make_runs(parent: Path, n: int) -> None:
    """Write trials of a search: each with a configuration of its own, 50 rows of metrics and results.

    Args:
        parent: Where.
        n: How many.
    """
    rng = random.Random(0)
    texts = [dump_config(load_any_config("cifar10", [f"layer={layer}"])) for layer in LAYERS]
    header = (
        "epoch,train_loss,train_accuracy,val_loss,val_accuracy,val_certified_accuracy,learning_rate,seconds,minutes"
    )
    for k in range(n):
        folder = parent / f"{k:05d}"
        folder.mkdir()
        rate, seed = rng.uniform(1e-4, 1e-1), k % 5
        text = texts[k % len(texts)].replace("  lr: 0.03\n", f"  lr: {rate}\n").replace("seed: 0\n", f"seed: {seed}\n")
        (folder / "config.yaml").write_text(text.replace("weight_decay: 0.0\n", f"weight_decay: {rate / 100}\n"))
        rows = [f"{e},1.2,0.5,1.1,{rng.random()},{rng.random()},{rate},8.5,{e / 7}" for e in range(EPOCHS)]
        (folder / "metrics.csv").write_text("\n".join([header, *rows, ""]))
        trial = {
            "factors": {"method": LAYERS[k % 4], "seed": seed},
            "params": {"optimizer.lr": rate},
            "state": "complete",
        }
        (folder / "trial.json").write_text(json.dumps({"stage": "search", **trial}))
        certified = {f"{radius / 255:.6g}": rng.random() for radius in (36, 72, 108, 255)}
        results = {"accuracy": rng.random(), "certified": certified, "attacked": certified, "weights": {"epoch": 7}}
        (folder / "results.json").write_text(json.dumps(results))


def main() -> None:
    """Make the runs, read them and print the seconds."""
    n = int(sys.argv[1]) if sys.argv[1:] else 10_000
    with tempfile.TemporaryDirectory() as name:
        make_runs(Path(name), n)
        began = time.perf_counter()
        rows = collect([name])
        print(f"{len(rows):,} runs in {time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    main()
