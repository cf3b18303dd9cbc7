"""Workers: each trial once, whoever dies; every end is a row; nothing is touched that is another worker's."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from tests.experiments.sweep.sweeping import Made, Training

from onelip.experiments import UserError
from onelip.experiments.errors import CommandFailedError
from onelip.experiments.run_folder import RunFolder, run_folder_at
from onelip.experiments.sweep import worker as module
from onelip.experiments.sweep.leases import Leases
from onelip.experiments.sweep.reporting import PrunedError, Reporting
from onelip.experiments.training import StoppedError
from onelip.tasks import NonFiniteLossError

MANY = """
base: digits
name: tried
optimizer: {lr: !loguniform [1e-3, 1e-1]}
sweep: {search: %s, trials: 5, factors: {method: {a: {layer: aoc}, b: {layer: aol}}, seed: [0, 1]}}
"""


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(module, "_POLL_SECONDS", 0.01)


@pytest.fixture
def made(tmp_path):
    return Made(tmp_path)


def die(made, number, attempts=(), rows=0):
    """Leave a trial as a worker that was killed does."""
    study, trial = made.study, made.trials[number]
    study.start(trial.id)
    Leases(made.folder.leases(made.stage)).claim(number).release(done=False)
    spec = made.spec
    cell = next(cell for cell in spec.cells() if cell.labels == trial.labels)
    config = spec.config(cell, trial.params, [("seed", 77)], ("runs", "tried"))
    folder = run_folder_at(made.path(number), config)
    (folder.path / "trial.json").write_text(json.dumps({"attempts": list(attempts)}))
    if rows:
        lines = ["epoch,val_certified_accuracy", *(f"{epoch},0.5" for epoch in range(rows))]
        folder.metrics_file.write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize(("search", "storage"), [("random", "sqlite:///{}/s.db"), ("tpe", "journal:{}/s.journal")])
def test_three_workers_run_each_trial_once(tmp_path, search, storage):
    text = MANY % search if search == "random" else (MANY % search).replace("trials: 5", "trials: 2")
    made, training = Made(tmp_path, text, url=storage.format(tmp_path)), Training()
    workers = [made.worker(training) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        n_ended = [pool.submit(worker.run) for worker in workers]
    trials = made.trials
    assert sum(ended.result() for ended in n_ended) == len(trials)
    assert Counter(training.ran) == Counter(range(len(trials)))
    assert {trial.state for trial in trials} == {"complete"}
    assert [trial.value for trial in trials] == [trial.params["optimizer.lr"] for trial in trials]
    assert not list(made.folder.leases("search").iterdir())


def test_a_trial_leaves_a_run_folder_and_its_record(made):
    training = Training()
    assert made.worker(training).run() == 4
    trial, record = made.trials[1], made.record(1)
    assert record.pop("seconds") >= 0.0
    assert record == {
        "sweep": "tried",
        "stage": "search",
        "trial": 1,
        "factors": {"method": "b"},
        "draw": 0,
        "params": trial.params,
        "metric": "val_certified_accuracy",
        "goal": "maximize",
        "attempts": [0],
        "state": "complete",
        "value": trial.value,
    }
    config = RunFolder(made.path(1)).config()
    assert config == training.configs[1]
    assert (config.layer, config.optimizer.lr) == ("aol", trial.params["optimizer.lr"])
    assert (config.runs_dir, config.name) == (str(made.folder.path.parent), "tried")
    assert config.trainer.threads == torch.get_num_threads()
    assert training.evaluated == [False] * 4


def test_a_worker_that_comes_late_has_nothing_to_do(made):
    made.worker(Training()).run()
    assert made.worker(Training()).run() == 0


def test_the_trial_of_a_dead_worker_goes_on_in_its_folder(made):
    folder = die(made, 2, attempts=[0])
    before, training = folder.config_file.read_text(), Training()
    made.worker(training).run()
    # Those of dead workers come first.
    assert training.ran == [2, 0, 1, 3]
    assert training.configs[2].seed == 77
    assert folder.config_file.read_text() == before
    assert made.record(2)["attempts"] == [0, 0]
    assert (made.record(2)["factors"], made.record(2)["state"]) == ({"method": "a"}, "complete")


def test_the_images_of_a_subset_are_those_that_a_trial_began_with(made):
    folder = die(made, 0)
    folder.config_file.write_text(
        folder.config_file.read_text().replace("subset: null", "subset: {indices: gone.txt, validation_indices: null}")
    )
    folder.train_indices_file.write_text("1\n2\n3\n")
    training = Training()
    made.worker(training).run()
    assert training.configs[0].data.subset.indices == str(folder.train_indices_file)


@pytest.mark.parametrize(
    ("attempts", "rows", "state"),
    [([2, 2, 2], 2, "failed"), ([2, 2], 2, "complete"), ([0, 1, 2], 2, "complete"), ([0, 0, 0], 1, "complete")],
)
def test_workers_that_die_without_progress_end_a_trial(made, attempts, rows, state):
    die(made, 1, attempts, rows)
    training = Training()
    made.worker(training).run()
    assert made.trials[1].state == state
    assert made.record(1)["attempts"] == [*attempts, rows]
    if state == "failed":
        assert made.trials[1].error.startswith("3 workers died at it after 2 epochs, for lack of memory perhaps")
        assert training.ran == [0, 2, 3]


@pytest.mark.parametrize(
    ("end", "error"),
    [
        (NonFiniteLossError(0, 3, float("nan")), "the loss is nan"),
        (UserError("groups=3 is\nnot allowed"), "groups=3 is not allowed"),
        (CommandFailedError("it stopped", 1), "it stopped"),
        (ValueError("shapes differ"), "ValueError: shapes differ"),
        (MemoryError(), "MemoryError: MemoryError"),
        (RuntimeError("CUDA out of memory"), "RuntimeError: CUDA out of memory"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_a_trial_raises_is_its_row_and_the_others_go_on(made, end, error):
    training = Training({1: end})
    assert made.worker(training).run() == 4
    assert [trial.state for trial in made.trials] == ["complete", "failed", "complete", "complete"]
    assert error in made.trials[1].error
    record = made.record(1)
    assert (record["state"], record["error"], record["factors"]) == ("failed", made.trials[1].error, {"method": "b"})
    assert "value" not in record
    assert type(end).__name__ in (made.path(1) / "error.txt").read_text()
    assert "Traceback" in (made.path(1) / "error.txt").read_text()


def test_a_configuration_that_does_not_work_is_a_row_with_its_factors(tmp_path):
    text = "base: digits\nname: tried\ntrainer: {precision: !choice [32, 33]}\nsweep: {search: grid}\n"
    made = Made(tmp_path, text)
    made.worker(Training()).run()
    assert [trial.state for trial in made.trials] == ["complete", "failed"]
    assert made.trials[1].error.startswith("trainer.precision=33 in the configuration is not allowed")
    record = made.record(1)
    assert (record["trial"], record["params"], record["state"]) == (1, {"trainer.precision": 33}, "failed")


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_value_that_is_no_finite_number_is_a_failure(made, value):
    def spoil(folder):
        folder.metrics_file.write_text(f"epoch,val_certified_accuracy\n0,{value}\n")

    made.worker(Training({0: spoil})).run()
    sentence = f"val_certified_accuracy={value} is no finite number, and trials are compared by it"
    assert (made.trials[0].state, made.trials[0].error, made.record(0)["error"]) == ("failed", sentence, sentence)


def test_the_value_is_that_of_the_weights_that_are_kept(tmp_path):
    def three_epochs(folder):
        folder.metrics_file.write_text("epoch,val_certified_accuracy\n0,0.25\n1,0.75\n2,0.5\n")

    text = "base: digits\nname: tried\ncertify: {weights: !choice [best, last]}\nsweep: {search: grid}\n"
    made = Made(tmp_path, text)
    made.worker(Training({0: three_epochs, 1: three_epochs})).run()
    assert [(t.params["certify.weights"], t.value) for t in made.trials] == [("best", 0.75), ("last", 0.5)]


@pytest.mark.parametrize(
    ("end", "raised"),
    [
        (StoppedError(signal.SIGTERM), StoppedError),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (CommandFailedError("stopped", 130), StoppedError),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_stopped_trial_is_left_open_and_nobody_has_died(made, end, raised):
    with pytest.raises(raised):
        made.worker(Training({1: end})).run()
    assert [trial.state for trial in made.trials] == ["complete", "running", "waiting", "waiting"]
    assert made.record(1)["attempts"] == []
    assert "state" not in made.record(1)
    assert not list(made.folder.leases("search").iterdir())
    training = Training()
    made.worker(training).run()
    assert training.ran == [1, 2, 3]
    assert made.record(1)["attempts"] == [1]
    assert {trial.state for trial in made.trials} == {"complete"}


@pytest.mark.parametrize("interrupted", [True, False])
def test_a_trial_that_was_taken_over_is_let_go_with_all_its_files(made, interrupted):
    def lose(folder):
        (made.folder.leases("search") / "0000.2").write_text(json.dumps({"machine": "another"}))
        (folder.path / "trial.json").write_text('{"of": "the other worker"}')
        if interrupted:
            worker._lose()
            time.sleep(10)

    worker = made.worker(Training({0: lose}))
    assert worker._run(*worker._take()) is False
    assert made.trials[0].state == "running"
    assert made.record(0) == {"of": "the other worker"}
    assert sorted(p.name for p in made.folder.leases("search").iterdir()) == ["0000.1", "0000.2"]
    assert worker._run(*worker._take()) is True
    assert made.trials[1].state == "complete"


def test_a_trial_that_ended_between_two_looks_is_not_run(made):
    worker, other = made.worker(training := Training()), made.worker(Training())
    worker._take()[0].withdraw()
    other.run()
    assert worker.run() == 0
    assert training.ran == []


def test_a_folder_that_the_study_was_not_made_with_is_refused(made, tmp_path):
    sentence = "is not the folder that study 'tried' was made with; all workers need that folder"
    shutil.copytree(made.folder.path, tmp_path / "copy" / "tried")
    (tmp_path / "copy" / "tried" / "sweep.json").unlink()
    folder = type(made.folder)(tmp_path / "copy" / "tried")
    with pytest.raises(UserError, match=sentence):
        module.Worker(folder, made.url, "search")
    (folder.path / "sweep.json").write_text('{"storage": null, "tokens": {"search": "another"}}')
    with pytest.raises(UserError, match=sentence):
        module.Worker(folder, made.url, "search")


def test_a_pruned_trial_has_the_value_that_it_ended_with(made):
    made.worker(Training({1: PrunedError(0.125, 3)})).run()
    assert (made.trials[1].state, made.trials[1].value) == ("pruned", 0.125)
    assert (made.record(1)["state"], made.record(1)["value"]) == ("pruned", 0.125)


def test_a_metric_that_is_nan_does_not_prune_but_fail(made):
    made.worker(Training({1: PrunedError(float("nan"), 3)})).run()
    assert made.trials[1].state == "failed"
    assert "val_certified_accuracy=nan is no finite number" in made.trials[1].error


class Told(Training):
    """Reports two epochs as a training does."""

    def __call__(self, config, folder, *, evaluate, callbacks=()):
        super().__call__(config, folder, evaluate=evaluate)
        for reporting in callbacks:
            assert isinstance(reporting, Reporting)
            for epoch in (1, 2):
                if reporting._behind(epoch, config.optimizer.lr):
                    raise PrunedError(config.optimizer.lr, epoch)


def test_a_search_with_pruning_ends_those_that_are_behind(tmp_path):
    text = (
        "base: digits\nname: tried\noptimizer: {lr: !choice [0.3, 0.4, 0.1, 0.5]}\n"
        "sweep: {search: grid, pruning: {name: median, startup: 2}, final: {seeds: [0]}}\n"
    )
    made = Made(tmp_path, text)
    made.worker(Told()).run()
    assert [(t.state, t.value) for t in made.trials] == [
        ("complete", 0.3), ("complete", 0.4), ("pruned", 0.1), ("complete", 0.5),
    ]  # fmt: skip
    assert [t.reports for t in made.trials] == [{1: v, 2: v} if v != 0.1 else {1: v} for v in (0.3, 0.4, 0.1, 0.5)]
    final = Made(tmp_path, text, stage="final")
    final.worker(Told()).run()
    assert final.trials[0].reports == {}


def test_final_trainings_are_evaluated_with_their_seeds(tmp_path):
    text = "base: digits\nname: tried\nlayer: !choice [aoc, aol]\nsweep: {search: grid, final: {seeds: [4, 5]}}\n"
    made = Made(tmp_path, text)
    made.worker(Training()).run()
    final, training = Made(tmp_path, text, stage="final"), Training()
    final.worker(training).run()
    assert training.evaluated == [True, True]
    assert [training.configs[number].seed for number in (0, 1)] == [4, 5]
    assert (final.record(1)["stage"], final.path(1).parent.name) == ("final", "final")


def test_the_function_of_all_executors_makes_a_worker_of_a_stage(made, monkeypatch):
    given = []

    class Stub:
        def __init__(self, *arguments):
            given.extend(arguments)

        def run(self):
            return 7

    monkeypatch.setattr(module, "Worker", Stub)
    assert module.run_worker(str(made.folder.path), made.url, "final") == 7
    assert given == [made.folder, made.url, "final"]
    with pytest.raises(UserError, match="stage 'finale' is unknown"):
        module.run_worker("x", "y", "finale")


@pytest.mark.parametrize(
    ("raised", "code"),
    [(None, 0), (UserError("no such folder"), 2), (StoppedError(15), 143), (KeyboardInterrupt(), 130)],
    ids=str,
)
def test_exit_codes_say_how_a_worker_ended(monkeypatch, capsys, raised, code):
    given = []

    def run(*arguments):
        given.append(arguments)
        if raised is not None:
            raise raised

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setattr(module, "run_worker", run)
    monkeypatch.setattr(module, "stop_with_the_first", lambda: None)
    try:
        assert module.main(["folder", "url", "final"]) == code
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert given == [("folder", "url", "final")]
    assert capsys.readouterr().err == ("onelip: no such folder\n" if code == 2 else "")


STOPPED = """
import sys, time
from onelip.experiments.sweep import worker
def run(*_):
    try:
        print("ready", flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        print("stopped", flush=True)
        raise
worker.run_worker = run
sys.exit(worker.main(["folder", "url", "search"]))
"""


@pytest.mark.slow
def test_a_worker_stops_as_after_ctrl_c_when_the_process_that_started_it_ends():
    # As a shell without job control starts it: with Ctrl-C ignored.
    ignored = f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n{STOPPED}"
    with subprocess.Popen(
        [sys.executable, "-c", ignored], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        # It sends itself SIGTERM then, as others may.
        process.stdin.close()
        assert process.stdout.readline() == "stopped\n"
        assert process.wait(30) == 130
