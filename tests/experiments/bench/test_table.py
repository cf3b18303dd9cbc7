"""Every format holds every number."""

import csv
import json

import pytest
import torch

import onelip
from onelip.experiments.bench.results import Measured, Row
from onelip.experiments.bench.setup import Setup
from onelip.experiments.bench.singular_values import SingularValues
from onelip.experiments.bench.steps import Times
from onelip.experiments.bench.table import EXPLANATION, FORMATS
from onelip.linalg import Bound

SETUP = Setup("conv2d", ("aoc",), 4, 3, 6, 2, torch.device("cpu"), 7)
ROWS = [
    Row("plain", Measured(100, Times(0.002, 0.002), Times(0.001, 0.001), 2**20, SingularValues(2, 0.5, True),
                          Bound(2.0000001, True, "x")), ""),
    Row("aoc", Measured(90, Times(0.006, 0.002), Times(0.0015, 0.001), 3 * 2**19, SingularValues(1, 1, True),
                        Bound(1.0000001, True, "x")), "a note"),
    Row("odd", None, "refused: stride"),
    Row("est", Measured(9, Times(0.002, 0.002), Times(0.001, 0.001), 2**20, SingularValues(1, 0, False),
                        Bound(1.0, False, "x")), "a note"),
]  # fmt: skip


def test_the_table_is_aligned_with_notes_below():
    lines = FORMATS["table"](SETUP, ROWS).splitlines()
    assert lines[0] == SETUP.describe()
    assert torch.__version__ in lines[1]
    assert lines[3:8] == [
        "method  parameters  train  eval  memory  sigma max  sigma min                bound",
        "plain          100   2 ms  1 ms     1.0   2.000000   0.500000             2.000001",
        "aoc             90     3x  1.5x     1.5   1.000000   1.000000             1.000001",
        "odd              -      -     -       -          -          -                    -",
        "est              9     1x    1x     1.0   1.000000   0.000000  1.000000 (estimate)",
    ]
    assert lines[9:11] == ["aoc, est: a note.", "odd: refused: stride."]
    assert lines[11:] == [*EXPLANATION]


def test_markdown_is_a_table():
    lines = FORMATS["md"](SETUP, ROWS).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 6
    assert len({line.count("|") for line in table}) == 1
    assert "| aoc | 90 | 3x | 1.5x | 1.5 | 1.000000 | 1.000000 | 1.000001 |" in table
    assert "- odd: refused: stride." in lines


def test_json_has_every_number_with_its_unit():
    found = json.loads(FORMATS["json"](SETUP, ROWS))
    assert found["machine"]
    assert (found["onelip"], found["repeats"]) == (onelip.__version__, 7)
    assert found["rows"][1] == {
        "method": "aoc", "parameters": 90, "train_seconds": 0.006, "train_ratio": 3.0, "eval_seconds": 0.0015,
        "eval_ratio": 1.5, "memory_bytes": 3 * 2**19, "sigma_max": 1, "sigma_min": 1, "bound": 1.0000001,
        "proved": True, "linear": True, "note": "a note",
    }  # fmt: skip
    assert found["rows"][2]["train_seconds"] is None


def test_csv_can_be_read_again():
    lines = FORMATS["csv"](SETUP, ROWS).splitlines()
    assert [line for line in lines if line.startswith("# ")] == lines[:2]
    rows = list(csv.DictReader(lines[2:]))
    assert [row["method"] for row in rows] == ["plain", "aoc", "odd", "est"]
    assert float(rows[1]["train_ratio"]) == 3
    assert rows[2]["sigma_max"] == ""


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_ends_in_one_newline(name):
    text = FORMATS[name](SETUP, ROWS)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
