from __future__ import annotations

import dataclasses
import pickle
import sys
from types import ModuleType

import pytest

from onelip.experiments.sweep.work import Work


def test_it_calls_the_worker(monkeypatch):
    worker = ModuleType("worker")
    worker.run_worker = lambda *arguments: arguments
    monkeypatch.setitem(sys.modules, "onelip.experiments.sweep.worker", worker)
    assert Work("runs/methods", "journal:a", "final")() == ("runs/methods", "journal:a", "final")


def test_it_means_the_same_in_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    work = Work("runs/methods", "sqlite:///runs/methods/study.db", "final").absolute()
    assert work == Work(f"{tmp_path}/runs/methods", f"sqlite:///{tmp_path}/runs/methods/study.db", "final")
    assert work.absolute() == work


def test_it_is_submitted_again_as_it_is():
    pytest.importorskip("submitit")
    work = Work("/shared/runs/methods", "journal:/shared/a")
    again = work.checkpoint()
    assert again.function == work
    assert again.args == ()


def test_it_travels():
    work = Work("/shared/runs/methods", "journal:/shared/a")
    pickled = pickle.dumps(work)
    assert len(pickled) < 300
    assert pickle.loads(pickled) == work
    with pytest.raises(dataclasses.FrozenInstanceError):
        work.stage = "final"
