import csv
import io
import json

import pytest

from onelip.experiments.bench.measurement_table import FORMATS
from onelip.experiments.bench.measurements import COLUMNS, Measurement


def _row(method, **numbers):
    return Measurement("A processor", "cpu", "0.1", "2026-11-27", "convnet-xs", method, 64, 32, 10, **numbers)


M = 2**20
ROWS = [
    _row(
        "aoc", train_seconds=0.15, eval_seconds=0.02, caching_seconds=0.0, train_memory_bytes=3 * M, train_flops=25 * M
    ),
    _row("plain", train_seconds=0.1, eval_seconds=0.02, train_memory_bytes=2 * M, parameters=1_572_288),
    _row("lot", error="training: the process was killed"),
]


def _cells(text):
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_markdown_has_multiples_of_the_plain_network_and_the_errors():
    text = FORMATS["md"](ROWS)
    heading, _, aoc, plain, lot = _cells(text)
    assert heading[:4] == ["model", "method", "train", "eval"]
    found = dict(zip(heading, aoc, strict=True))
    assert found["train"] == "150 ms (1.5x)"
    assert found["eval"] == "20 ms (1x)"
    assert found["train memory"] == "3 MiB (1.5x)"
    assert found["train FLOPs"] == "0.0262 G"
    assert found["caching"] == "0 ms"
    assert dict(zip(heading, plain, strict=True))["train"] == "100 ms"
    assert plain[-1] == "1,572,288"
    assert lot[2:] == ["-"] * 9
    assert "- convnet-xs lot: training: the process was killed" in text.splitlines()
    assert text.startswith("on A processor, onelip 0.1: batch 64 of 32x32, 10 classes.\n")
    assert "FFTs, factorisations and triangular solves are not counted" in text


def test_without_the_plain_network_there_are_no_multiples():
    assert "x)" not in FORMATS["md"](ROWS[:1]).split("FLOPs:")[0]


@pytest.mark.parametrize("format_name", ["csv", "json"])
def test_records_hold_all_numbers(format_name):
    text = FORMATS[format_name](ROWS)
    read = json.loads(text) if format_name == "json" else list(csv.DictReader(io.StringIO(text)))
    assert [tuple(record) for record in read] == [COLUMNS] * 3
    assert [float(record["train_seconds"]) for record in read[:2]] == [0.15, 0.1]
    assert read[2]["error"] == "training: the process was killed"


def test_the_table_is_aligned():
    lines = FORMATS["table"](ROWS).splitlines()[2:6]
    assert len({line.index(word) for line, word in zip(lines, ("method", "aoc", "plain", "lot"), strict=True)}) == 1
