"""What the machine offers."""

import shutil
import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch

import onelip
from onelip.experiments.doctor import environment


def test_versions_are_named():
    detail = environment.versions().detail
    assert f"onelip {onelip.__version__}, torch {torch.__version__}" in detail


@pytest.mark.parametrize(("n_threads", "status"), [(1, "ok"), (10_000, "warn")])
def test_more_threads_than_cores_are_worth_a_word(monkeypatch, n_threads, status):
    monkeypatch.setattr(torch, "get_num_threads", lambda: n_threads)
    assert environment.threads().status == status


def test_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda k: f"card {k}")
    assert environment.gpu().detail == "card 0, card 1"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    assert environment.gpu().status == "warn"
    monkeypatch.setattr(torch.version, "cuda", None)
    assert environment.gpu().status == "ok"


@pytest.mark.parametrize(
    ("on", "available", "status"), [(True, True, "warn"), (True, False, "ok"), (False, True, "ok")]
)
def test_tf32_matters_where_there_is_a_gpu(monkeypatch, on, available, status):
    monkeypatch.setattr(torch.backends.cuda, "matmul", SimpleNamespace(allow_tf32=False))
    monkeypatch.setattr(torch.backends, "cudnn", SimpleNamespace(allow_tf32=on))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    assert environment.tf32().status == status


def test_a_missing_package_comes_with_the_extra_that_has_it(monkeypatch):
    monkeypatch.setattr(environment, "OPTIONAL", {"train": ("numpy",)})
    assert environment.optional_packages().status == "ok"
    monkeypatch.setattr(environment, "OPTIONAL", {"train": ("numpy",), "attacks": ("no-such-package",)})
    check = environment.optional_packages()
    assert (check.status, check.detail) == ("warn", "no-such-package missing")
    assert check.advice == "pip install 'onelip[attacks]'"


def test_a_torchvision_that_cannot_be_imported_is_broken(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    (tmp_path / "torchvision.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    check = environment.torchvision()
    assert check.status == "broken"
    assert "nms does not exist" in check.detail
    assert environment.torchvision().detail == check.detail


def test_no_torchvision_is_fine(monkeypatch):
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: None)
    assert environment.torchvision().status == "ok"
    assert isinstance(environment.importlib.util, ModuleType)


@pytest.mark.parametrize(("free", "status"), [(10**12, "ok"), (10**8, "warn")])
def test_little_disk_space_is_worth_a_word(monkeypatch, free, status):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    assert environment.disk().status == status
