"""All checks together."""

from onelip.experiments.doctor import examination, run_checks
from onelip.experiments.doctor.check import Check


def test_every_check_comes_back_in_order_under_its_name(monkeypatch):
    monkeypatch.setattr(examination.numerics, "WIDTHS", (20,))
    checks = run_checks()
    assert [check.name for check in checks] == [name for name, _ in examination.CHECKS]


def test_a_check_that_raises_is_a_finding(monkeypatch):
    def fails() -> Check:
        raise RuntimeError("cannot load\nlibrary")

    monkeypatch.setattr(examination, "CHECKS", (("FFT", fails),))
    (check,) = run_checks()
    assert (check.name, check.status) == ("FFT", "broken")
    assert "RuntimeError: cannot load library" in check.detail
