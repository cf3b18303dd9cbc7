"""What a sweep would do: cells, trials, times; nothing is written."""

import pytest
from tests.experiments.sweep.sweeping import RANDOM, read

from onelip.experiments import UserError
from onelip.experiments.bench.epoch_time import EpochTime
from onelip.experiments.sweep import dry_run
from onelip.experiments.sweep.dry_run import duration_text, show_plan
from onelip.experiments.sweep.executors import Options
from onelip.experiments.sweep.files import SweepFolder

FINAL = "  final: {seeds: [0, 1, 2], set: {trainer.max_epochs: 100}}\n"


@pytest.fixture
def shown(tmp_path, monkeypatch, capsys):
    """Print a plan, with epochs of 30 seconds (10 steps); the lines."""

    def measure(config, **_):
        if config.layer == "bcop":
            raise UserError("no data")
        return EpochTime(3.0, 10, 0.0, 0.0, 1, "here", made_up=config.layer == "aol")

    monkeypatch.setattr(dry_run, "measure_epoch", measure)
    monkeypatch.setenv("COLUMNS", "160")

    def show(text, *changes, stage="search", **options):
        spec = read(tmp_path, text, *changes)
        show_plan(spec, SweepFolder(spec.folder), stage, Options(workers=options.pop("workers", 2), **options))
        assert not (tmp_path / "runs").exists()
        return [line.rstrip() for line in capsys.readouterr().out.splitlines()]

    return show


def test_cells_draws_and_the_whole_time_are_shown(shown):
    lines = shown(RANDOM, "trainer.max_epochs=20")
    assert lines[0].split() == ["method", "trials", "of", "about", "epoch", "takes"]
    assert lines[1].split() == ["a", "2", "10", "min", "30", "s"]
    assert lines[2].split() == ["b", "2", "10", "min", "30", "s", "(made-up", "images)"]
    assert lines[3] == "optimizer.lr: !loguniform [0.001, 0.1]"
    assert lines[4].startswith("search: 4 trials in 2 cells, in ")
    assert lines[5] == "about 20 min with 2 workers as fast as this machine alone"


def test_a_cell_that_cannot_be_measured_is_left_out_of_the_time(shown):
    lines = shown(RANDOM.replace("aol", "bcop"), "trainer.max_epochs=20", workers=1)
    assert lines[2].split() == ["b", "2", "-", "not", "measured:", "no", "data"]
    assert (
        lines[5]
        == "about 20 min with 1 worker as fast as this machine alone, without 1 cells that could not be measured"
    )


@pytest.mark.parametrize(
    ("change", "each"),
    [
        ("sweep.budget=2h", ["2", "h"]),
        ("trainer={max_epochs: null, max_minutes: 5}", ["5", "min"]),
        ("trainer={max_epochs: 20, max_steps: 50}", ["2.5", "min"]),
    ],
)
def test_budgets_minutes_and_steps_say_how_long_a_trial_is(shown, change, each):
    assert shown(RANDOM, change)[1].split()[2:4] == each


def test_final_trainings_are_one_for_each_seed_of_the_final_stage(shown):
    text = RANDOM.replace("b: {layer: aol}}", "b: {layer: aol}}, seed: [0, 1]") + FINAL
    lines = shown(text, stage="final")
    assert lines[0].split()[:2] == ["method", "trials"]
    assert lines[1].split()[:4] == ["a", "3", "50", "min"]
    assert lines[4].startswith("final: 6 trials in 2 cells")


def test_a_sweep_for_slurm_shows_its_script(shown):
    lines = shown(RANDOM, executor="slurm", resources={"partition": "gpu"})
    assert "#!/bin/bash" in lines
    assert any("partition" in line for line in lines)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.123, "0.12 s"), (59, "59 s"), (119, "119 s"), (121, "2 min"), (5400, "90 min"), (9000, "2.5 h"),
        (72000, "20 h"), (200000, "2.3 d"), (4e6, "46 d"),
    ],
)  # fmt: skip
def test_times_are_short(seconds, text):
    assert duration_text(seconds) == text
