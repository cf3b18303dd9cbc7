"""The script that measures networks on a GPU, with a stand-in for Python that notes what it is asked."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from onelip.cli import main

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "gpu_measurements.sh"

NOTING = """#!/bin/sh
printf '%s\\n' "$@" END >> asked
test "$4" = budget
"""


def test_the_script_says_how_it_is_used():
    done = subprocess.run(["sh", str(SCRIPT), "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("Measure what networks of each layer cost on a GPU")
    assert "PACKAGES" not in done.stderr
    names = subprocess.run(["sh", str(SCRIPT), "packages"], capture_output=True, text=True, check=True).stdout.split()
    assert {"lightning", "pydantic", "ruamel.yaml", "typer"} <= set(names)


def _asked(tmp_path, **settings):
    """Run the script; return its exit code and the arguments of both commands."""
    python = tmp_path / "python"
    python.write_text(NOTING)
    python.chmod(0o755)
    names = ("DEVICE", "MODELS", "METHODS", "BATCH", "SECONDS_PER_NETWORK", "SECONDS_PER_EPOCH", "CIFAR10_DIR")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    done = subprocess.run(
        ["sh", str(SCRIPT), "results"],
        cwd=tmp_path,
        env={**environment, **settings, "PYTHON": str(python)},
        capture_output=True,
        text=True,
        check=False,
    )
    commands = [part.split("\n")[:-1] for part in (tmp_path / "asked").read_text().split("END\n")[:-1]]
    assert [command[:2] for command in commands] == [["-m", "onelip"]] * 2
    return done.returncode, [command[2:] for command in commands]


@pytest.fixture
def understood(monkeypatch):
    """What the command line makes of arguments."""
    given = []
    monkeypatch.setattr(
        "onelip.experiments.bench.measure_command.bench_measure", lambda **options: given.append(options)
    )
    monkeypatch.setattr(
        "onelip.experiments.bench.budget_command.bench_budget",
        lambda words, **options: given.append({"words": words, **options}),
    )

    def read(commands):
        for command in commands:
            monkeypatch.setattr(sys, "argv", ["onelip", *command])
            with pytest.raises(SystemExit) as caught:
                main()
            assert not caught.value.code
        return given

    return read


def test_all_sizes_and_methods_are_measured_on_the_gpu(tmp_path, understood):
    code, commands = _asked(tmp_path)
    assert code == 1, "the first command failed"
    measure, budget = understood(commands)
    assert (tmp_path / "results").is_dir()
    assert measure["models"] == "convnet-xs,convnet-s,convnet-m,convnet-l"
    assert len(measure["methods"].split(",")) == 9
    assert (measure["device"], measure["batch"], measure["out"]) == ("cuda", 256, "results/measurements.csv")
    # Within four minutes, for 36 networks.
    assert measure["effort"].seconds * 36 < 240
    assert budget["words"] == []
    assert (budget["sizes"], budget["methods"], budget["data"]) == ("xs,s,m,l", measure["methods"], "cifar10")
    assert budget["out"] == "results/budgets.yaml"


def test_settings_arrive(tmp_path, understood):
    settings = {"DEVICE": "cpu", "MODELS": "convnet-xs", "METHODS": "plain", "BATCH": "2", "CIFAR10_DIR": "a b"}
    measure, budget = understood(_asked(tmp_path, **settings, SECONDS_PER_NETWORK="0.5", SECONDS_PER_EPOCH="0.25")[1])
    assert (measure["models"], measure["methods"], measure["batch"], measure["device"]) == (
        "convnet-xs",
        "plain",
        2,
        "cpu",
    )
    assert (measure["effort"].seconds, budget["seconds"]) == (0.5, 0.25)
    changes = ["trainer.accelerator=cpu", "data.batch_size=2", "data.eval_batch_size=2", "data.dir=a b"]
    assert (budget["sizes"], budget["methods"], budget["words"]) == ("xs", "plain", changes)
