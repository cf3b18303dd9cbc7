"""Rows of made-up runs, with folders where a test needs some."""

import json
from pathlib import Path

from onelip.experiments.collection import RunRow

METRICS = "epoch,train_loss,val_accuracy,val_certified_accuracy,seconds\n"


def row(k=0, *, folder=Path("runs"), status="finished", error="", values=None, **factors):
    given = {"data": "digits", "layer": "aoc", "seed": k} | factors
    numbers = {"accuracy": 0.9, "certified@0.141176": 0.8, "train_seconds": 10.0 + k} if values is None else values
    return RunRow(folder / f"{k:03d}", "digits", "classification", given, numbers, status, error, "", {})


def fill(run, *, epochs=3, radii=(0.0, 0.1, 0.2, 0.4), proved=True, norm="l2", page=True):
    """Write what a row's folder holds."""
    run.folder.mkdir(parents=True)
    lines = [f"{e},{2 / (e + 1)},{0.5 + e / 1000},{0.4 + e / 1000},2.0" for e in range(epochs)]
    (run.folder / "metrics.csv").write_text(METRICS + "".join(f"{line}\n" for line in lines))
    certificate = {"lipschitz": {"proved": proved}, "norm": norm, "radii": [float(r).hex() for r in radii]}
    (run.folder / "certificate.json").write_text(json.dumps(certificate))
    if page:
        (run.folder / "report.html").touch()
    return run
