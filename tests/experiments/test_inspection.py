"""The commands that look at a certificate, a run, a machine."""

import pytest
import torch
from torch import nn

from onelip.certify import certify
from onelip.experiments import UserError, inspection
from onelip.experiments.doctor import Check
from onelip.experiments.errors import CommandFailedError


@pytest.fixture
def certificate(tmp_path):
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    return certify(network, torch.rand(5, 1, 2, 2), torch.tensor([0, 1, 2, 0, 1])).save(tmp_path)


def test_a_certificate_holds_until_a_byte_changes(certificate, capsys):
    inspection.verify(str(certificate.parent))
    assert "the certificate holds" in capsys.readouterr().out
    weights = certificate.parent / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(CommandFailedError, match=r"certificate\.json does not hold: .*weights") as caught:
        inspection.verify(str(certificate))
    assert caught.value.exit_code == 1


def test_a_missing_certificate_is_a_mistake_of_the_user(tmp_path):
    with pytest.raises(UserError, match=r"certificate\.json does not exist"):
        inspection.verify(str(tmp_path))


def test_a_run_without_results_has_no_report(tmp_path):
    (tmp_path / "config.yaml").touch()
    with pytest.raises(UserError, match="has no results yet; finish it with: onelip train --resume"):
        inspection.report(str(tmp_path))


def test_doctor_fails_when_a_check_fails(monkeypatch, capsys):
    checks = [Check("sums", "ok", "right"), Check("products", "broken", "wrong", "use another machine")]
    monkeypatch.setattr(inspection, "run_checks", lambda: checks)
    with pytest.raises(CommandFailedError, match="1 of 2 checks failed"):
        inspection.doctor()
    assert "use another machine" in capsys.readouterr().out
    monkeypatch.setattr(inspection, "run_checks", lambda: checks[:1])
    inspection.doctor()
