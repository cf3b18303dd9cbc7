"""The command that checks a certificate."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from onelip.certify import certify
from onelip.experiments import UserError, verification
from onelip.experiments.errors import CommandFailedError


@pytest.fixture
def certificate(tmp_path):
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    return certify(network, torch.rand(5, 1, 2, 2), torch.tensor([0, 1, 2, 0, 1])).save(tmp_path)


def test_a_certificate_holds_until_a_byte_changes(certificate, capsys):
    verification.verify(str(certificate.parent))
    assert "the certificate holds" in capsys.readouterr().out
    weights = certificate.parent / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(CommandFailedError, match=r"certificate\.json does not hold: .*weights") as caught:
        verification.verify(str(certificate))
    assert caught.value.exit_code == 1


def test_paranoid_confirms_in_balls_what_holds(certificate, capsys):
    verification.verify(str(certificate), paranoid=True, samples=3)
    written = capsys.readouterr().out
    assert "the certificate holds" in written
    assert "radii of 3 of 5 samples; of the other 2 samples nothing" in written


def test_paranoid_fails_where_something_is_not_confirmed(tmp_path):
    model, x = nn.Sequential(nn.Flatten(), nn.Linear(4, 3)), torch.rand(3, 1, 2, 2)
    path = certify(model, x, torch.tensor([0, 1, 2]), semantics="executed-float64").save(tmp_path)
    expected = "holds in float64, but not confirmed: executed semantics: rounding growth not confirmed in ball"
    with pytest.raises(CommandFailedError, match=expected) as caught:
        verification.verify(str(path), paranoid=True)
    assert caught.value.exit_code == 1


def test_paranoid_options_that_cannot_work(certificate, monkeypatch):
    with pytest.raises(UserError, match="samples=3 counts only with --paranoid"):
        verification.verify(str(certificate), samples=3)
    monkeypatch.setattr(verification.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'onelip\[rigorous\]'"):
        verification.verify(str(certificate), paranoid=True)


def test_a_missing_certificate_is_a_mistake_of_the_user(tmp_path):
    with pytest.raises(UserError, match=r"certificate\.json does not exist"):
        verification.verify(str(tmp_path))


def test_checking_loads_nothing_that_trains():
    check = "import onelip.experiments.verification, sys; print({'lightning', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
