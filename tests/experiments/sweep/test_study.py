"""The study: what is planned is stored and read back, and ends once."""

import pytest
from tests.experiments.sweep.sweeping import Made, read

from onelip.experiments import UserError
from onelip.experiments.config_distributions import Choice, LogUniform, RandInt, Uniform
from onelip.experiments.sweep.optuna_library import optuna
from onelip.experiments.sweep.plan import plan_search
from onelip.experiments.sweep.study import Study, add_again, as_optuna, create_study, has_study

EVERY = """
base: digits
name: tried
layer: !choice [aoc, aol]
model: {widths: !choice [[8], [16, 16]]}
optimizer: {lr: !loguniform [1e-3, 1e-1], weight_decay: !uniform [0, 1e-3]}
seed: !randint [1, 9]
sweep: {trials: 3, factors: {size: {s: {data.batch_size: 64}, l: {data.batch_size: 128}}}}
"""
TPE = EVERY.replace("trials: 3", "trials: 2, search: tpe")


@pytest.fixture
def made(tmp_path):
    return Made(tmp_path, EVERY)


@pytest.mark.parametrize("storage", ["sqlite:///{}/study.db", "journal:{}/study.journal"])
def test_what_is_planned_is_read_back(tmp_path, storage):
    spec = read(tmp_path, EVERY)
    plan, url = plan_search(spec), storage.format(tmp_path)
    create_study(url, "tried", plan, spec.distributions, goal="minimize", token="t")
    study = Study(url, "tried", spec.distributions)
    trials = study.trials()
    assert study.token == "t"
    assert [(t.number, t.labels, t.draw) for t in trials] == [(p.number, p.cell.labels, p.draw) for p in plan]
    assert [t.params for t in trials] == [p.params for p in plan]
    assert {type(t.params["seed"]) for t in trials} == {int}
    assert {(t.state, t.value, t.error) for t in trials} == {("waiting", None, "")}


def test_changes_are_read_back(tmp_path):
    made = Made(tmp_path, EVERY)
    for trial in made.trials:
        made.study.finish(trial.id, "complete", 0.5)
    final = Made(
        tmp_path, EVERY.replace("trials: 3", "trials: 3, final: {seeds: [4], set: {model.widths: [9]}}"), stage="final"
    )
    assert [list(t.changes) for t in final.trials] == [[("model.widths", [9]), ("seed", 4)]] * 2


def test_trials_are_added_and_none_twice(tmp_path, made):
    more = plan_search(read(tmp_path, EVERY, "sweep.trials=5"))
    before = [t.id for t in made.trials]
    for _ in range(2):
        create_study(made.url, "tried", more, made.spec.distributions, goal="maximize", token=made.study.token)
    assert [t.id for t in made.trials][:6] == before
    assert [(t.number, t.draw) for t in made.trials] == [(p.number, p.draw) for p in more]


def test_a_study_of_another_folder_is_refused_and_left_as_it_is(tmp_path, made):
    more = plan_search(read(tmp_path, EVERY, "sweep.trials=5"))
    with pytest.raises(UserError, match="has a sweep 'tried' of another folder; take another name"):
        create_study(made.url, "tried", more, made.spec.distributions, goal="maximize", token="another")
    assert len(made.trials) == 6


def test_a_study_whose_maker_died_at_once_is_gone_on_with(tmp_path):
    spec, url = read(tmp_path, EVERY), f"sqlite:///{tmp_path / 'study.db'}"
    create_study(url, "empty", [], {}, goal="maximize", token="t")
    storage = optuna().storages.RDBStorage(url)
    storage.create_new_study([optuna().study.StudyDirection.MAXIMIZE], "tried")
    create_study(url, "tried", plan_search(spec), spec.distributions, goal="maximize", token="t")
    study = Study(url, "tried", spec.distributions)
    assert (study.token, len(study.trials())) == ("t", 6)


def test_a_trial_begins_once_and_ends_once(made):
    study, trial = made.study, made.trials[0]
    assert study.start(trial.id)
    assert study.trial(trial.id).state == "running"
    assert study.finish(trial.id, "complete", 0.25)
    assert not study.finish(trial.id, "failed", None, "too late")
    assert not study.start(trial.id)
    ended = study.trial(trial.id)
    assert (ended.state, ended.value, ended.error) == ("complete", 0.25, "")


@pytest.mark.parametrize(("state", "value", "error"), [("pruned", 0.5, ""), ("failed", None, "the loss is nan")])
def test_other_ends_are_kept(made, state, value, error):
    study, trial = made.study, made.trials[1]
    study.start(trial.id)
    study.report(trial.id, 1, 0.1)
    study.report(trial.id, 2, 0.2)
    study.finish(trial.id, state, value, error)
    ended = made.trials[1]
    assert (ended.state, ended.value, ended.error, ended.reports) == (state, value, error, {1: 0.1, 2: 0.2})


def test_what_is_proposed_is_stored_once(tmp_path):
    made = Made(tmp_path, TPE)
    study, trial = made.study, made.trials[0]
    assert trial.params is None
    values = {
        "layer": "aol", "model.widths": [16, 16], "optimizer.lr": 0.01, "optimizer.weight_decay": 0.0, "seed": 3,
    }  # fmt: skip
    assert study.set_params(trial.id, values) == values
    assert study.trial(trial.id).params == values


def test_what_a_dead_worker_has_begun_to_store_is_completed(tmp_path):
    made = Made(tmp_path, TPE)
    study, trial = made.study, made.trials[0]
    values = {
        "layer": "aol", "model.widths": [16, 16], "optimizer.lr": 0.01, "optimizer.weight_decay": 0.0, "seed": 3,
    }  # fmt: skip
    theirs = as_optuna(made.spec.distributions["seed"])
    study._storage.set_trial_param(trial.id, "seed", 7.0, theirs)
    assert study.trial(trial.id).params is None
    assert study.set_params(trial.id, values) == {**values, "seed": 7}
    assert study.trial(trial.id).params == {**values, "seed": 7}


@pytest.mark.parametrize("text", [EVERY, TPE])
def test_failed_trials_are_planned_again_and_only_those(tmp_path, text):
    made = Made(tmp_path, text)
    study, trials = made.study, made.trials
    proposed = {
        "layer": "aol", "model.widths": [8], "optimizer.lr": 0.01, "optimizer.weight_decay": 0.0, "seed": 3,
    }  # fmt: skip
    for trial, state, value in zip(
        trials, ("failed", "complete", "failed", "pruned"), (None, 0.5, None, 0.1), strict=False
    ):
        study.start(trial.id)
        if trial.params is None:
            study.set_params(trial.id, proposed)
        study.finish(trial.id, state, value, "broken" if state == "failed" else "")
    for expected in (2, 0):
        assert add_again(made.url, "tried", made.spec.distributions) == expected
    again = made.trials[len(trials) :]
    assert [(t.labels, t.draw, t.params) for t in again] == [
        (t.labels, t.draw, t.params) for t in trials if t.number in (0, 2)
    ]
    assert {(t.state, t.error) for t in again} == {("waiting", "")}
    study.finish(again[0].id, "failed", None, "again")
    assert add_again(made.url, "tried", made.spec.distributions) == 1


def test_a_study_is_there_or_not(tmp_path, made):
    assert has_study(made.url, "tried")
    assert not has_study(made.url, "tried-final")
    with pytest.raises(UserError, match="has no study 'x'; make it with: onelip sweep"):
        Study(made.url, "x", {})


def test_distributions_are_those_of_optuna():
    theirs = optuna().distributions
    assert as_optuna(Choice(("a", [1]))) == theirs.CategoricalDistribution(["a", "[1]"])
    assert as_optuna(RandInt(1, 3)) == theirs.IntDistribution(1, 3)
    assert as_optuna(Uniform(0, 1)) == theirs.FloatDistribution(0, 1)
    assert as_optuna(LogUniform(1, 2)) == theirs.FloatDistribution(1, 2, log=True)
