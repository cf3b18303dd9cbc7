"""The command: what it runs, prints and ends with, and that nothing is lost whatever is killed."""

import contextlib
import json
import os
import signal
from pathlib import Path

import pytest
from tests.experiments.sweep.sweeping import RANDOM, Training, written

from onelip.experiments import UserError
from onelip.experiments.bench.epoch_time import EpochTime
from onelip.experiments.errors import CommandFailedError
from onelip.experiments.recorder import read_metrics
from onelip.experiments.run_folder import RunFolder
from onelip.experiments.sweep import command, dry_run, local
from onelip.experiments.sweep.executors import EXECUTORS, Options
from onelip.experiments.sweep.files import SweepFolder
from onelip.experiments.sweep.spec import read_sweep
from onelip.experiments.sweep.study import Study
from onelip.experiments.sweep.worker import Worker

FINAL = RANDOM + "  final: {seeds: [0]}\n"


@pytest.fixture
def training(monkeypatch):
    """What the one worker of this process does in place of training."""
    training = Training()

    def run(work, options, watch):
        watch()
        Worker(SweepFolder(Path(work.folder)), work.storage, work.stage, training).run()
        return True

    monkeypatch.setitem(EXECUTORS, "local", run)
    return training


@pytest.fixture
def run(tmp_path, monkeypatch, capsys, training):
    """Run the command on a file, by default the usual one; what it prints."""
    monkeypatch.setenv("COLUMNS", "160")
    storage = f"journal:{tmp_path / 'study.journal'}"

    def call(text=FINAL, changes=(), name=None, **options):
        options.setdefault("storage", storage)
        try:
            command.sweep(name or written(tmp_path, text), changes, Options(**options))
        finally:
            call.printed = capsys.readouterr().out
        return call.printed

    return call


def trials(tmp_path, stage="search"):
    folder = SweepFolder(tmp_path / "runs" / "tried")
    spec = read_sweep(str(folder.spec_file))
    return Study(f"journal:{tmp_path / 'study.journal'}", folder.study_name(stage), spec.distributions).trials()


def test_a_search_says_how_it_stands_and_what_comes_next(run, tmp_path, training):
    printed = run()
    folder = tmp_path / "runs" / "tried"
    assert sorted(training.ran) == [0, 1, 2, 3]
    for line in (
        f"sweep folder: {folder}",
        "search: 4 waiting of 4 trials",
        "search: 4 complete of 4 trials",
        f"train the best of each cell with: onelip sweep {folder} --stage final",
        f"look at all runs with: onelip report {folder}",
        f"tables: onelip tables {folder / 'search'}",
    ):
        assert line in printed.splitlines()
    assert "best val_certified_accuracy" in printed


def test_a_sweep_that_has_ended_runs_nothing_again_and_grows(run, tmp_path, training):
    run()
    run()
    assert len(training.ran) == 4
    run(name=str(tmp_path / "runs" / "tried"), changes=["sweep.trials=3"], storage=None)
    assert sorted(training.ran) == [0, 1, 2, 3, 4, 5]


def test_the_final_stage_follows(run, tmp_path, training):
    run()
    printed = run(stage="final")
    assert "final: 2 complete of 2 trials" in printed
    assert "train the best" not in printed
    assert f"tables: onelip tables {tmp_path / 'runs' / 'tried' / 'final'}" in printed
    assert training.evaluated == [False] * 4 + [True] * 2
    best = {
        t.labels["method"]: max(u.value for u in trials(tmp_path) if u.labels == t.labels) for t in trials(tmp_path)
    }
    assert {t.labels["method"]: t.value for t in trials(tmp_path, "final")} == best


def test_a_cell_without_a_result_is_exit_code_1(run, training):
    training.end = {1: ValueError("broken"), 3: ValueError("broken")}
    with pytest.raises(CommandFailedError, match=r"^no trial has ended well of 1 cells: method=b$") as caught:
        run()
    assert caught.value.exit_code == 1
    assert "trial 1 failed (method=b): ValueError: broken" in run.printed


def test_failed_trials_are_tried_again_and_only_those(run, tmp_path, training):
    training.end = {1: ValueError("broken")}
    run()
    training.end, training.ran = {}, []
    run()
    assert training.ran == []
    printed = run(retry_failed=True)
    assert "1 trials that failed are tried once more" in printed
    assert training.ran == [4]
    first, again = trials(tmp_path)[1], trials(tmp_path)[4]
    assert (first.state, again.state) == ("failed", "complete")
    assert (again.labels, again.draw, again.params) == (first.labels, first.draw, first.params)
    training.ran = []
    assert "0 trials that failed" in run(retry_failed=True)
    assert training.ran == []


@pytest.mark.parametrize(
    ("raised", "code", "sentence"),
    [
        (KeyboardInterrupt(), 130, "stopped; go on with: onelip sweep "),
        (CommandFailedError("worker 0 ended", 1), 1, "worker 0 ended; go on with: onelip sweep "),
    ],
    ids=["ctrl-c", "dying"],
)
def test_what_stops_it_says_how_to_go_on(run, tmp_path, monkeypatch, raised, code, sentence):
    run()

    def stop(*_):
        raise raised

    monkeypatch.setitem(EXECUTORS, "local", stop)
    for stage in ("search", "final"):
        with pytest.raises(CommandFailedError) as caught:
            run(stage=stage)
        assert caught.value.exit_code == code
        ending = "" if stage == "search" else " --stage final"
        assert str(caught.value) == f"{sentence}{tmp_path / 'runs' / 'tried'}{ending}"


def test_jobs_that_are_not_waited_for_are_not_counted(run, monkeypatch):
    monkeypatch.setitem(EXECUTORS, "slurm", lambda *_: False)
    printed = run(executor="slurm")
    assert printed.splitlines()[-1].endswith("tried --status")
    assert printed.splitlines()[-1].startswith("see how it stands with: onelip sweep ")


def test_status_changes_nothing(run, tmp_path, training):
    with pytest.raises(UserError, match="has no study 'tried'; make it with: onelip sweep"):
        run(status=True)
    run()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert run(status=True).splitlines()[-1] == "search: 4 complete of 4 trials"
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert len(training.ran) == 4


def test_a_dry_run_writes_nothing(run, tmp_path, training, monkeypatch):
    monkeypatch.setattr(
        dry_run, "measure_epoch", lambda *_, **__: EpochTime(1.0, 1, 0.0, 0.0, 1, "here", made_up=False)
    )
    printed = run(dry_run=True, storage=None)
    assert "search: 4 trials in 2 cells" in printed
    assert [path.name for path in tmp_path.iterdir()] == ["tried.yaml"]
    assert training.ran == []


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"stage": "finale"}, "stage 'finale' is unknown; did you mean 'final'"),
        ({"executor": "slurn"}, "executor 'slurn' is unknown; did you mean 'slurm'"),
        ({"wait": True}, "--wait is for --executor slurm"),
    ],
)
def test_mistakes_write_nothing(run, tmp_path, options, sentence):
    with pytest.raises(UserError, match=sentence):
        run(**options)
    assert not (tmp_path / "runs").exists()


def test_a_folder_of_something_else_is_refused(run, tmp_path):
    with pytest.raises(UserError, match=r"is not the folder of a sweep; it has no sweep\.yaml"):
        run(name=str(tmp_path))


WHOLE = """
base: digits
name: tried
optimizer: {lr: !loguniform [1e-3, 3e-2]}
model: {widths: [8]}
data: {batch_size: 256, validation: 0.2}
trainer: {threads: 1, max_epochs: 6}
sweep: {trials: 2, factors: {method: {a: {layer: aol}, b: {layer: cpl}}}}
"""


def outcome(folder):
    """What trials gave: parameters, value, and the numbers of every epoch without its times."""
    spec = read_sweep(str(folder / "sweep.yaml"))
    study = Study(f"sqlite:///{folder / 'study.db'}", folder.name, spec.distributions)
    timed = ("seconds", "minutes")
    return {
        t.number: (
            t.state,
            t.params,
            t.value,
            [
                {name: value for name, value in row.items() if name not in timed}
                for row in read_metrics(RunFolder(folder / "search" / f"{t.number:04d}"))
            ],
        )
        for t in study.trials()
    }


def at_work(folder):
    """Processes of workers that have trained an epoch or more of a trial, and not all."""
    found = []
    for lease in folder.glob("leases/search/*"):
        run = RunFolder(folder / "search" / lease.stem)
        with contextlib.suppress(FileNotFoundError, ValueError):
            if "state" not in json.loads((run.path / "trial.json").read_text()) and len(read_metrics(run)) in range(
                1, 8
            ):
                found.append(json.loads(lease.read_text())["pid"])
    return found


@pytest.mark.slow
def test_whatever_is_killed_the_sweep_ends_as_if_nothing_had_been(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(local, "_POLL_SECONDS", 0.02)
    pools, killed = [], []

    class Pool(local._Pool):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            pools.append(self)

    monkeypatch.setattr(local, "_Pool", Pool)

    def disturb(work, options, watch):
        def look():
            busy = at_work(Path(work.folder))
            # First one of them in the midst of a trial, then all while another is.
            if busy and not killed:
                os.kill(busy[0], signal.SIGKILL)
                killed.append(busy[0])
            elif set(busy) - set(killed):
                for worker in pools[0]._workers.values():
                    worker.kill()
                    worker.wait()
                raise KeyboardInterrupt

        local.start_local(work, 2, look)

    (tmp_path / "disturbed").mkdir()
    file = written(tmp_path / "disturbed", WHOLE)
    monkeypatch.setitem(EXECUTORS, "local", disturb)
    with pytest.raises(CommandFailedError, match="stopped; go on with: onelip sweep"):
        command.sweep(file, [], Options())
    folder = tmp_path / "disturbed" / "runs" / "tried"
    assert "was killed by signal 9; another one takes its place" in capsys.readouterr().out
    left = outcome(folder).values()
    assert any(state == "running" and len(rows) in range(1, 6) for state, _, _, rows in left)

    monkeypatch.setitem(EXECUTORS, "local", lambda work, options, watch: work() >= 0)
    command.sweep(str(folder), [], Options())
    command.sweep(written(tmp_path, WHOLE), [], Options())
    undisturbed = outcome(tmp_path / "runs" / "tried")
    assert outcome(folder) == undisturbed
    assert [(state, len(rows)) for state, _, _, rows in undisturbed.values()] == [("complete", 6)] * 4
    assert sorted(p.name for p in (folder / "search").iterdir()) == ["0000", "0001", "0002", "0003"]
