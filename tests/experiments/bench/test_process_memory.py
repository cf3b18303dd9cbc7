import pytest

from onelip.experiments.bench import process_memory
from onelip.experiments.bench.process_memory import peak_resident_bytes, resident_bytes

MEGABYTES = 64


def test_what_is_written_to_is_counted_and_its_peak_stays():
    before = resident_bytes()
    held = bytearray(b"x") * (MEGABYTES * 10**6)
    assert resident_bytes() - before == pytest.approx(MEGABYTES * 10**6, rel=0.1)
    del held
    assert peak_resident_bytes() >= before + 0.9 * MEGABYTES * 10**6
    assert resident_bytes() < before + 0.5 * MEGABYTES * 10**6


def test_systems_without_a_status_count_resources(tmp_path, monkeypatch):
    known = peak_resident_bytes()
    monkeypatch.setattr(process_memory, "_STATUS", tmp_path / "status")
    # That counter may begin with what the process before this one held.
    assert peak_resident_bytes() >= 0.9 * known
    assert resident_bytes() == peak_resident_bytes()
    monkeypatch.setattr(process_memory.sys, "platform", "darwin")
    assert 1024 * peak_resident_bytes() >= 0.9 * known
    assert peak_resident_bytes() < known
