"""Folders of runs, written by hand: what is read of them, and no training."""

from __future__ import annotations

import functools
import json
from pathlib import Path

from onelip.experiments.collection import RunRow
from onelip.experiments.collection.config_text import ConfigText
from onelip.experiments.collection.factors import SHOWN, factors_of
from onelip.experiments.config_file import dump_config, load_any_config


@functools.cache
def resolved(name, changes=()):
    """Spell out a shipped configuration."""
    return dump_config(load_any_config(name, changes))


def make_run(folder, config, *changes, results=None, metrics=None, trial=None, failure=None):
    """Write the folder of a run of a shipped configuration; what is None is left out."""
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(resolved(config, changes))
    for name, content in (("results", results), ("trial", trial), ("failure", failure)):
        if content is not None:
            (folder / f"{name}.json").write_text(json.dumps(content))
    if metrics is not None:
        (folder / "metrics.csv").write_text(metrics)
    return folder


def certified_results(accuracy, certified, **others):
    """Say what `results.json` holds of a run with a certificate."""
    return {
        "accuracy": accuracy,
        "certified": certified,
        "attacked": {},
        "attacks": {},
        "lipschitz_bound": {"value": 1.0, "proved": True, "method": "product"},
        **others,
    }


def make_row(config, *changes, values=None, folder="run", factors=None, **others):
    """Make the row of a run of a shipped configuration, finished unless it says otherwise."""
    text = ConfigText(resolved(config, changes), config)
    task = text.get("task")
    configured = factors_of(text, task)
    shown = {key: value for key, value in configured.items() if key in SHOWN} | (factors or {})
    row = {"status": "finished", "error": "", "stage": "", "params": {}, "configured": configured} | others
    return RunRow(Path(folder), config, task, shown, values or {}, **row)
