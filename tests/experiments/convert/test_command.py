"""The command `convert`: from the files of another code base to a certificate."""

from __future__ import annotations

import json

import pytest
import torch
from tests.configs.reduced import images_like
from tests.experiments.convert.settings_files import search_settings
from tests.experiments.convert.test_network_weights import checkpoint, settings

from onelip.experiments import commands, verification
from onelip.experiments.convert.command import convert
from onelip.experiments.errors import UserError


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "settings.yml").write_text(settings(), "utf-8")
    torch.save(checkpoint(), tmp_path / "model_state_dict.pth")
    return tmp_path


def test_a_published_checkpoint_ends_in_a_proved_certificate(files, monkeypatch, capsys):
    convert("settings.yml", checkpoint="model_state_dict.pth", runs_dir="mine")
    (folder,) = (files / "mine" / "convnet-xs-aol-cifar10").iterdir()
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"certify it with: onelip certify {folder.relative_to(files)}"
    assert "no counterpart: num_workers=4" in lines
    assert "# no counterpart: num_workers=4" in (folder / "converted.txt").read_text("utf-8")
    monkeypatch.setattr("onelip.data.load", lambda name, *_, **__: images_like(name))
    commands.certify(str(folder))
    results = json.loads((folder / "results.json").read_text("utf-8"))
    assert results["lipschitz_bound"]["proved"]
    assert 0 < results["lipschitz_bound"]["value"] <= 1 + 1e-5
    assert set(results["certified"]) == {"0.141176", "0.282353", "0.423529", "1"}
    verification.verify(str(folder), paranoid=False, samples=None)


def test_settings_become_a_file_and_a_checkpoint_both_if_asked(files, capsys):
    convert("settings.yml")
    assert (files / "convnet-xs-aol-cifar10.yaml").is_file()
    assert capsys.readouterr().out.endswith("start it with: onelip train convnet-xs-aol-cifar10.yaml\n")
    convert("settings.yml", checkpoint="model_state_dict.pth", out="other.yaml")
    assert (files / "other.yaml").is_file()
    assert (files / "runs").is_dir()


def test_a_search_becomes_a_sweep(files, capsys):
    (files / "search.yml").write_text(search_settings("LOT"), "utf-8")
    convert("search.yml", out="search.yaml")
    assert capsys.readouterr().out.endswith("start it with: onelip sweep search.yaml\n")


def test_nothing_is_written_beside_an_existing_file(files):
    (files / "there.yaml").write_text("mine")
    with pytest.raises(UserError, match="exists already"):
        convert("settings.yml", checkpoint="model_state_dict.pth", out="there.yaml")
    assert not (files / "runs").exists()


def test_checkpoints_are_read_without_running_code(files):
    torch.save({"FirstConv.bias": torch.nn.Linear(1, 1)}, files / "evil.pth")
    with pytest.raises(UserError, match=r"evil\.pth is not a whole file of weights"):
        convert("settings.yml", checkpoint="evil.pth")
    assert not (files / "runs").exists()
