"""How a finding reads."""

from onelip.experiments.doctor import Check, format_checks


def test_a_finding_shows_its_status_and_its_advice():
    check = Check("LU", "broken", "residual 0.3", "use Cholesky")
    assert str(check) == "broken  LU: residual 0.3\n        -> use Cholesky"
    assert not check.ok
    assert Check("disk", "warn", "little").ok


def test_the_summary_counts():
    checks = [Check("a", "ok", "x"), Check("b", "warn", "y", "do"), Check("c", "ok", "z")]
    lines = format_checks(checks).splitlines()
    assert lines[0] == "ok      a: x"
    assert lines[-1] == "2 ok, 1 to know about, 0 broken"
