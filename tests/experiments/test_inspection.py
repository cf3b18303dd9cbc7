"""The commands that look at a run and at the machine."""

import pytest

from onelip.experiments import UserError, inspection
from onelip.experiments.doctor import Check
from onelip.experiments.errors import CommandFailedError


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
