"""`onelip clip`: a new file of weights below the bound, and nothing else."""

import os

import pytest
import torch
from safetensors.torch import load_file
from tests.experiments.small_run import small_run
from tests.spectral.dense import dense_values
from torch import nn

from onelip.experiments.clip_command import clip_network
from onelip.experiments.errors import UserError
from onelip.experiments.own_network import load_own_weights

CODE = """
import torch
from torch import nn
def build():
    net = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 2))
    for p in net.parameters():
        nn.init.normal_(p, generator=torch.Generator().manual_seed(p.numel()))
    return net
"""
OPTIONS = {"max_norm": 1.0, "method": "fastclip", "batch_norm": "keep", "input_shape": "2,4,4", "weights": None}


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clip_nets.py").write_text(CODE)
    return "clip_nets:build"


def built(path):
    net = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 2))
    load_own_weights(net, path)
    return net.double()


def test_the_new_weights_are_below_the_bound_and_fit_the_network(place, tmp_path, capsys):
    clip_network(place, **OPTIONS, out="new.safetensors")
    net = built(tmp_path / "new.safetensors")
    assert float(dense_values(net[0], (2, 4, 4))[0]) == pytest.approx(1, abs=1e-3)
    assert float(dense_values(net[4], (48,))[0]) == pytest.approx(1, abs=1e-3)
    output = capsys.readouterr().out
    assert "before" in output
    assert "after" in output
    assert "accuracy" not in output
    assert "batch normalisations keep the statistics of before" in output
    assert output.endswith("weights: new.safetensors\n")
    assert sorted(p.name for p in tmp_path.iterdir() if p.suffix) == ["clip_nets.py", "new.safetensors"]


def test_a_convolution_and_its_normalisation_are_bounded_as_one(place, tmp_path):
    clip_network(place, **{**OPTIONS, "batch_norm": "joint", "max_norm": 0.5}, out="new.safetensors")
    net = built(tmp_path / "new.safetensors")
    assert float(dense_values(net[:2], (2, 4, 4))[0]) <= 0.5 * (1 + 1e-3)


def test_a_run_is_left_as_it_is_and_its_accuracy_told(tmp_path, capsys):
    folder, model = small_run(tmp_path)
    before = {p: p.read_bytes() for p in folder.path.rglob("*") if p.is_file()}
    out = tmp_path / "new.safetensors"
    clip_network(str(folder.path), **{**OPTIONS, "input_shape": None, "max_norm": 0.25}, out=str(out))
    assert {p: p.read_bytes() for p in folder.path.rglob("*") if p.is_file()} == before
    weights = load_file(out)
    assert weights.keys() == model.state_dict().keys()
    norms = [float(torch.linalg.svdvals(w.double())[0]) for w in weights.values() if w.dim() == 2]
    assert norms == pytest.approx([0.25] * len(norms), rel=1e-3)
    output = capsys.readouterr().out
    assert "validation accuracy: " in output
    assert "batch normalisations" not in output


def test_a_file_that_appears_meanwhile_is_kept(place, tmp_path, monkeypatch):
    def overtaken(*arguments, **options):
        (tmp_path / "new.safetensors").write_text("another's")

    monkeypatch.setattr("onelip.experiments.clip_command.clip_", overtaken)
    with pytest.raises(UserError, match=r"new\.safetensors exists and is not overwritten"):
        clip_network(place, **OPTIONS, out="new.safetensors")
    assert (tmp_path / "new.safetensors").read_text() == "another's"
    assert [name for name in os.listdir(tmp_path) if "partial" in name] == []
