"""How a sweep stands, in words and in a table."""

import pytest
from tests.experiments.sweep.sweeping import RANDOM, Made

from onelip.experiments.sweep.status import counts_in_words, show_status, shown_params

STATES = ("complete", "failed", "pruned", "running")


@pytest.fixture
def made(tmp_path):
    made = Made(tmp_path)
    for trial, state in zip(made.trials, STATES, strict=True):
        made.study.start(trial.id)
        if state != "running":
            value = None if state == "failed" else 0.25 * (trial.number + 1)
            made.study.finish(trial.id, state, value, "shapes [1, 2] differ" if state == "failed" else "")
    return made


def shown(made, capsys, goal="maximize"):
    show_status(made.spec, made.stage, made.trials, "val_accuracy", goal)
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_trials_are_counted_in_words(made):
    assert counts_in_words(made.trials) == "1 complete, 1 pruned, 1 failed, 1 running of 4"
    assert counts_in_words([]) == " of 0"


def test_each_cell_has_a_row_with_its_best_and_each_failure_a_line(made, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    lines = shown(made, capsys)
    lr = shown_params(made.trials[0].params)
    assert lines[0].split() == ["method", "trials", "best", "val_accuracy", "with"]
    assert lines[1].split() == ["a", "1", "complete,", "1", "pruned", "of", "2", "0.25", lr]
    assert lines[2].split() == ["b", "1", "failed,", "1", "running", "of", "2", "-", "-"]
    assert lines[3] == "trial 1 failed (method=b): shapes [1, 2] differ"


def test_the_goal_says_which_is_best(tmp_path, capsys):
    made = Made(tmp_path)
    for trial in made.trials:
        made.study.finish(trial.id, "complete", float(trial.number))
    assert [line.split()[-2] for line in shown(made, capsys)[1:3]] == ["2", "3"]
    assert [line.split()[-2] for line in shown(made, capsys, "minimize")[1:3]] == ["0", "1"]


def test_final_trainings_are_shown_by_their_mean(tmp_path, capsys):
    text = RANDOM.replace("b: {layer: aol}}", "b: {layer: aol}}, seed: [0, 1]")
    search = Made(tmp_path, text)
    for trial in search.trials:
        search.study.finish(trial.id, "complete", 0.5)
    final = Made(tmp_path, text, stage="final")
    for trial in final.trials[:3]:
        final.study.finish(trial.id, "complete", 0.1 * (trial.number + 1))
    lines = shown(final, capsys)
    assert lines[0].split() == ["method", "trials", "mean", "val_accuracy", "with"]
    assert lines[1].split()[:6] == ["a", "3", "complete", "of", "3", "0.2"]
    assert lines[2].split()[:6] == ["b", "3", "waiting", "of", "3", "-"]


def test_parameters_are_short():
    assert (
        shown_params({"optimizer.lr": 0.0123456, "layer": "aoc", "seed": 3})
        == "optimizer.lr=0.01235, layer=aoc, seed=3"
    )
