"""What is true is confirmed, and what is a hair too good is not."""

import math

import pytest
import torch
from tests.certify.checker.test_verification import reseal
from tests.certify.networks import around, predictions, rich, samples, small, volumes
from torch import nn

from onelip import layers as L
from onelip.certify import certify
from onelip.certify.paranoid import confirm, confirmation

FEW = 1 + 1e-5
"""Above what certificates keep as a reserve, 2e-6."""


def write(model, folder, x=None):
    x = samples(n=6) if x is None else x
    labels = predictions(model, x)
    labels[-1] = (labels[-1] + 1) % 4
    certify(model, x, labels).save(folder)
    return folder


@pytest.fixture
def folder(tmp_path):
    return write(small(), tmp_path)


@pytest.mark.parametrize("build", [small, rich, around, volumes])
def test_every_operation_is_confirmed(build, tmp_path):
    outcome = confirm(write(build(), tmp_path))
    assert outcome.ok, str(outcome)
    assert (outcome.n_samples, outcome.n_total) == (6, 6)
    assert "radii of 6 of 6 samples" in str(outcome)


@pytest.mark.parametrize("name", ["cpl", "sll", "aoc", "cayley", "sandwich", "soc", "lot", "bro"])
def test_layers_are_confirmed(name, tmp_path):
    record = next(r for r in L.records() if (r.kind, r.name) == ("conv2d", name))
    layer = record.factory(4, 4, 3, padding=1, padding_mode=record.paddings[-1])
    x = torch.rand(3, 4, 4, 4)
    model = nn.Sequential(layer, nn.Flatten(), nn.Linear(64, 4)).eval()
    outcome = confirm(write(model, tmp_path, x))
    assert outcome.ok, str(outcome)


def test_samples_are_spread_and_counted(folder):
    calls = []
    outcome = confirm(folder / "certificate.json", samples=2, progress=lambda *a: calls.append(a))
    assert outcome.ok
    assert (outcome.n_samples, outcome.n_total, calls) == (2, 6, [(2, 2)])
    assert "2 of 6 samples; of the other 4 samples nothing was proved" in str(outcome)
    with pytest.raises(ValueError, match="samples=0 must be"):
        confirm(folder, samples=0)
    assert confirmation._order(5, 2).tolist() == [0, 4]
    assert confirmation._order(5, 9).tolist() == [0, 1, 2, 3, 4]
    assert confirmation._order(6, None).tolist() == [0, 4, 2, 1, 5, 3]


def test_when_the_time_is_up_the_rest_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(confirmation, "SECONDS", 0.0)
    outcome = confirm(write(small(), tmp_path, samples(n=20)))
    assert outcome.ok
    assert outcome.n_samples == confirmation.BATCH
    assert "8 of 20 samples" in str(outcome)


FORGERIES = {
    "radii": lambda v: v.update(radii=[(float.fromhex(r) * FEW).hex() for r in v["radii"]]),
    "one radius": lambda v: v["radii"].__setitem__(2, (float.fromhex(v["radii"][2]) * FEW).hex()),
    "radius of a wrong sample": lambda v: v["radii"].__setitem__(5, (1e-9).hex()),
    "infinite radius": lambda v: v["radii"].__setitem__(0, "inf"),
    "negative radius": lambda v: v["radii"].__setitem__(0, "-0x1p-9"),
    "constant": lambda v: v["lipschitz"].update(value=(float.fromhex(v["lipschitz"]["value"]) / FEW).hex()),
    "one constant": lambda v: v["constants"].update(_6=(float.fromhex(v["constants"]["_6"]) / FEW).hex()),
    "head constant": lambda v: v["head"].update(constant=(float.fromhex(v["head"]["constant"]) / FEW).hex()),
    "tightened runs": lambda v: v["tightened"].update(runs=[{"nodes": ["_5"], "mixed": False, "radii": []}]),
    "norm": lambda v: v.update(norm="linf"),
    "head": lambda v: v["head"].update(node="_5"),
    "labels": lambda v: v.update(labels=v["labels"][1:], radii=v["radii"][1:]),
    "scale": lambda v: v["input"].update(scale=(0.25).hex()),
    "garbage": lambda v: v.update(radii=["radius"] * 6),
    "no constants": lambda v: v.update(constants={}),
    "no scale": lambda v: v["input"].pop("scale"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_what_is_a_hair_too_good_is_not_confirmed(folder, name):
    reseal(folder, FORGERIES[name])
    outcome = confirm(folder)
    assert not outcome.ok
    assert all(m.startswith("not confirmed: ") and "\n" not in m for m in outcome.messages), outcome.messages


def test_a_changed_byte_is_seen(folder):
    data = bytearray((folder / "weights.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "weights.safetensors").write_bytes(bytes(data))
    assert "does not match the hash" in str(confirm(folder))


def test_changed_weights_are_not_confirmed(folder):
    def edit(values):
        values["_1.weight"] = (values["_1.weight"] * 1.1).astype("float32")

    reseal(folder, weights=edit)
    outcome = confirm(folder)
    assert "of conv2d '_1' is not proved" in str(outcome)
    assert outcome.lipschitz > 0


def test_of_executed_networks_the_real_part_is_confirmed(tmp_path):
    model, x = nn.Sequential(nn.Flatten(), nn.Linear(4, 3)), torch.rand(3, 1, 2, 2)
    certify(model, x, predictions(model, x), semantics="executed-float64").save(tmp_path)
    outcome = confirm(tmp_path)
    assert not outcome.ok
    assert outcome.messages[0].startswith("not confirmed: executed semantics: rounding growth not confirmed")
    assert "the radii of 3 of 3 samples" in outcome.messages[2]
    # What is wrong in real arithmetic is seen all the same.
    reseal(tmp_path, samples=lambda v: v["class_radii"].__imul__(1.1))
    assert "a radius of sample 0" in str(confirm(tmp_path))


def test_ties_and_infinite_constants(tmp_path):
    model = nn.Linear(2, 2)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
        model.bias.copy_(torch.tensor([0.5, 0.0]))
    certificate = certify(model, torch.rand(2, 2), torch.tensor([0, 1]))
    assert certificate.radii.max() == 1e12
    assert confirm(certificate.save(tmp_path)).ok
    assert math.isnan(confirm(tmp_path / "missing").lipschitz)
