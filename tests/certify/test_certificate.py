import json

import numpy as np
import pytest
import torch
from tests.certify.networks import predictions, samples, small

from onelip.certify import VerificationError, certify, load_certificate
from onelip.certify.forward import evaluate


@pytest.fixture(scope="module")
def certificate():
    model, x = small(), samples()
    labels = predictions(model, x)
    labels[0] = (labels[0] + 1) % 4
    return certify(model, x, labels)


def test_round_trip(certificate, tmp_path):
    path = certificate.save(tmp_path / "deep" / "folder")
    for source in (path, path.parent):
        again = load_certificate(source)
        assert np.array_equal(again.radii, certificate.radii)
        assert np.array_equal(again.predictions, certificate.predictions)
        assert again.bound == certificate.bound
        assert str(again) == str(certificate)
        x = torch.from_numpy(again.images).double()
        assert torch.equal(evaluate(again.network, x)[0], evaluate(certificate.network, x)[0])


def test_four_files_and_nothing_else(certificate, tmp_path):
    certificate.save(tmp_path)
    certificate.save(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "architecture.json", "certificate.json", "samples.safetensors", "weights.safetensors",
    ]  # fmt: skip


def test_json_is_readable_and_exact(certificate, tmp_path):
    values = json.loads(certificate.save(tmp_path).read_text())
    assert next(iter(values)) == "claim"
    assert values["claim"].startswith("PROVED: l2 Lipschitz constant")
    assert float.fromhex(values["lipschitz"]["value"]) == values["lipschitz"]["decimal"] == certificate.bound.value
    assert [float.fromhex(r) for r in values["radii"]] == certificate.radii.tolist()


def test_an_interrupted_save_leaves_the_old_files(certificate, tmp_path, monkeypatch):
    path = certificate.save(tmp_path)
    before = path.read_bytes()

    def fail(descriptor):
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        certificate.save(tmp_path)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 4


def test_summary(certificate):
    text = certificate.summary()
    assert f"{certificate.accuracy:.4f}" in text
    assert "radius 0.141176 certified accuracy" in text
    assert "linear head" in text


@pytest.mark.parametrize("radius", [-0.1, float("nan")])
def test_bad_radius(certificate, radius):
    with pytest.raises(ValueError, match="radius="):
        certificate.certified_accuracy(radius)


def test_a_changed_file_is_not_loaded(certificate, tmp_path):
    path = certificate.save(tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(b"")
    with pytest.raises(VerificationError, match=r"weights\.safetensors does not match the hash"):
        load_certificate(path)
