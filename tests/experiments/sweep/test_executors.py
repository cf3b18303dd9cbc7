"""Executors by name, and options that would have no effect."""

import os

import pytest
import torch

from onelip.experiments import UserError
from onelip.experiments.sweep import executors
from onelip.experiments.sweep.executors import EXECUTORS, Options, check_options, default_workers
from onelip.experiments.sweep.work import Work

WORK = Work("folder", "journal:/x.journal", "final")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"executor": "slurmm"}, "executor 'slurmm' is unknown; did you mean 'slurm'"),
        ({"resources": {"gpus": "1"}}, "--resource gpus is for --executor slurm or ray"),
        ({"address": "auto"}, "--ray-address is for --executor ray, and this is local"),
        ({"executor": "ray"}, "--executor ray needs --ray-address, such as HOST:6379"),
        ({"wait": True}, "--wait is for --executor slurm, and this is local, which waits"),
        ({"status": True, "retry_failed": True}, "--status and --retry-failed do not go together"),
        ({"dry_run": True, "status": True}, "--dry-run and --status do not go together"),
    ],
)
def test_what_would_have_no_effect_is_refused(options, sentence):
    with pytest.raises(UserError, match=sentence):
        check_options(Options(**options))


def test_what_has_an_effect_is_not():
    for options in (
        Options(),
        Options(executor="ray", address="auto", resources={"gpus": "1"}),
        Options(executor="slurm", wait=True, resources={"partition": "gpu"}, retry_failed=True),
    ):
        check_options(options)


def test_each_executor_gets_what_it_needs(monkeypatch):
    calls = []

    def start(name):
        def called(*arguments, **options):
            calls.append((name, *arguments, *options.values()))
            return ["job 1"]

        return called

    monkeypatch.setattr(executors, "start_local", start("local"))
    monkeypatch.setattr("onelip.experiments.sweep.slurm.start_slurm", start("slurm"))
    monkeypatch.setattr("onelip.experiments.sweep.ray_cluster.start_ray", start("ray"))

    def watch():
        return None

    assert EXECUTORS["local"](WORK, Options(workers=3), watch)
    assert not EXECUTORS["slurm"](WORK, Options(workers=3, executor="slurm", resources={"a": "b"}), watch)
    assert EXECUTORS["slurm"](WORK, Options(executor="slurm", wait=True), watch)
    assert EXECUTORS["ray"](WORK, Options(executor="ray", address="auto", resources={"a": "b"}), watch)
    assert calls == [
        ("local", WORK, 3, watch),
        ("slurm", WORK, 3, {"a": "b"}, False, watch),
        ("slurm", WORK, 1, {}, True, watch),
        ("ray", WORK, None, "auto", {"a": "b"}, watch),
    ]


def test_sqlite_on_several_machines_is_warned_of(monkeypatch, capsys):
    monkeypatch.setattr("onelip.experiments.sweep.slurm.start_slurm", lambda *_, **__: [])
    for work, options, warned in (
        (WORK, Options(executor="slurm"), False),
        (Work("f", "sqlite:////x.db"), Options(executor="slurm"), True),
        (Work("f", "sqlite:////x.db"), Options(executor="slurm", resources={"cluster": "local"}), False),
    ):
        EXECUTORS["slurm"](work, options, lambda: None)
        assert ("the study is in SQLite" in capsys.readouterr().out) == warned


@pytest.mark.parametrize(("cpus", "gpus", "workers"), [(8, 0, 4), (1, 0, 1), (None, 0, 1), (8, 3, 3)])
def test_there_is_room_for_a_worker_on_each_gpu_or_on_two_cores(monkeypatch, cpus, gpus, workers):
    monkeypatch.setattr(os, "cpu_count", lambda: cpus)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert default_workers() == workers
