import dataclasses
import threading

import pytest

from onelip.experiments import UserError
from onelip.experiments.bench.measurements import (
    COLUMNS,
    Measurement,
    append_measurement,
    check_appendable,
    read_measurements,
)

ROW = Measurement(
    machine="A processor, 2 threads, torch 2",
    device="cpu",
    onelip="0.1",
    date="2026-11-27T10:00:00+00:00",
    model="convnet-xs",
    method="aoc",
    batch=64,
    image=32,
    classes=10,
    train_seconds=0.1 + 0.2,
    train_memory_bytes=2**40,
    parameters=7,
    error='two, "three"',
)


def test_rows_come_back_as_they_were(tmp_path):
    path = tmp_path / "table.csv"
    append_measurement(path, ROW)
    other = dataclasses.replace(ROW, method="plain", eval_seconds=1e-9, error="")
    append_measurement(path, other)
    assert read_measurements(path) == [ROW, other]
    assert path.read_text("utf-8").partition("\n")[0] == ",".join(COLUMNS)


def test_the_newest_row_of_a_network_and_machine_counts_and_all_rows_stay(tmp_path):
    path = tmp_path / "table.csv"
    elsewhere = dataclasses.replace(ROW, machine="Another processor, 2 threads, torch 2")
    newer = dataclasses.replace(ROW, onelip="0.2", date="2027-01-01T10:00:00+00:00", train_seconds=1.0, error="")
    larger = dataclasses.replace(ROW, batch=65)
    for row in (ROW, elsewhere, newer, larger):
        append_measurement(path, row)
    assert read_measurements(path) == [newer, elsewhere, larger]
    assert len(path.read_text("utf-8").splitlines()) == 5


def test_rows_of_many_writers_are_all_there(tmp_path):
    path = tmp_path / "table.csv"
    rows = [dataclasses.replace(ROW, batch=n) for n in range(1, 41)]
    writers = [
        threading.Thread(target=lambda part=rows[i::4]: [append_measurement(path, r) for r in part]) for i in range(4)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(row.batch for row in read_measurements(path)) == list(range(1, 41))


@pytest.mark.parametrize("text", ["a,b\n1,2\n", ",".join(COLUMNS[:-1]) + "\n", "x" * 99])
def test_another_table_is_left_as_it_is(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_text(text)
    for act in (check_appendable, read_measurements, lambda p: append_measurement(p, ROW)):
        with pytest.raises(UserError, match="which is not the header of measurements"):
            act(path)
    assert path.read_text() == text


def test_a_broken_row_is_named(tmp_path):
    path = tmp_path / "table.csv"
    append_measurement(path, ROW)
    path.write_text(path.read_text() + "cut\n")
    with pytest.raises(UserError, match=f"row 3 of {path} is not a measurement"):
        read_measurements(path)


def test_missing_places_are_named(tmp_path):
    with pytest.raises(UserError, match="there are no measurements; make some with: onelip bench measure"):
        read_measurements(tmp_path / "table.csv")
    with pytest.raises(UserError, match="no such folder"):
        check_appendable(tmp_path / "nowhere" / "table.csv")
    check_appendable(tmp_path / "table.csv")
    assert list(tmp_path.iterdir()) == []


def test_every_column_is_documented():
    assert all(f"        {name}: " in f"    {Measurement.__doc__}" for name in COLUMNS)
