"""Tables as text."""

import csv
import io
import json
import re

import pytest
from tests.experiments.collection.made_runs import make_row

from onelip.experiments.tables.filling import fill
from onelip.experiments.tables.formats import FORMATS, cell_text, counts_differ
from onelip.experiments.tables.grid import PERCENT, Slot, Spec, having
from onelip.experiments.tables.published import Published
from onelip.experiments.tables.selection import Selected


def _grid(*runs):
    stated = Published("90.5", "0.2", "percent", "the paper, table 1")
    slots = {
        (0, 0): Slot("accuracy", having(layer="aol"), PERCENT, "max", needs="aol", published=stated),
        (0, 1): Slot("accuracy", having(layer="aoc"), PERCENT, "max", needs="aoc"),
        (1, 0): Slot("accuracy", having(layer="rko"), PERCENT, "max", "b", "rko", Published("", "", "", "x")),
        (1, 1): "a | b",
    }  # fmt: skip
    spec = Spec(
        "A title", ("data",), [("one",), ("two",)], [("x", "AOL"), ("x", "AOC")], slots, ["A note."], "on a machine"
    )
    return fill(spec, Selected(runs))


RUNS = [
    *(make_row("digits", "layer=aol", f"seed={s}", values={"accuracy": a}) for s, a in enumerate((0.5, 0.7))),
    make_row("digits", "layer=aoc", values={"accuracy": 0.4}),
]


def test_markdown():
    text = FORMATS["md"]([_grid(*RUNS)], True)
    assert text.splitlines() == [
        "**A title**", "", "| data | x AOL | x AOC |", "| --- | ---: | ---: |",
        "| one | **60.00 ± 14.14 (n=2)** | 40.00 (n=1) |", "| two | \N{EN DASH} | a \\| b |", "",
        "- Mean and deviation of the sample; n is the number of runs where it is not the same everywhere.", "- A note.",
        "- \N{EN DASH} is missing: 1 of 3 cells, for want of rko.", "",
        "Published, not measured here (on a machine):", "", "| data | x AOL | x AOC |", "| --- | ---: | ---: |",
        "| one | 90.5 ± 0.2 |  |", "| two | \N{EN DASH} |  |",
    ]  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_published_numbers_are_apart_and_can_be_left_out(name):
    grid = _grid(*RUNS)
    assert "90.5" in FORMATS[name]([grid], True)
    assert "90.5" not in FORMATS[name]([grid], False)
    assert "ublished" not in FORMATS[name]([grid], False)


def test_csv_has_numbers_and_flags():
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"]([_grid(*RUNS)], True))))
    assert [row["column"] for row in rows] == ["x / AOL", "x / AOC", "x / AOL", "x / AOC"]
    assert (rows[0]["n"], float(rows[0]["mean"]), rows[0]["best"], rows[0]["missing"]) == (
        "2",
        pytest.approx(60),
        "1",
        "0",
    )
    assert float(rows[0]["deviation"]) == pytest.approx(100 * 0.2 / 2**0.5)
    assert (rows[0]["published"], rows[0]["published_deviation"]) == ("90.5", "0.2")
    assert rows[0]["published_source"] == "the paper, table 1"
    assert (rows[1]["deviation"], rows[1]["published"]) == ("", "")
    assert (rows[2]["n"], rows[2]["mean"], rows[2]["missing"]) == ("0", "", "1")
    assert (rows[3]["text"], rows[3]["missing"]) == ("a | b", "0")


def test_json_is_what_a_program_needs():
    table = json.loads(FORMATS["json"]([_grid(*RUNS)], True))["tables"][0]
    first, second, third, fourth = table["cells"]
    assert (first["row"], first["column"], first["unit"]) == ({"data": "one"}, ["x", "AOL"], "percent")
    assert (first["n"], first["mean"], first["best"]) == (2, pytest.approx(60), True)
    assert first["deviation"] == pytest.approx(100 * 0.2 / 2**0.5)
    assert first["published"] == {
        "text": "90.5", "value": 90.5, "deviation": 0.2, "unit": "percent", "source": "the paper, table 1",
    }  # fmt: skip
    assert (second["deviation"], second["published"], second["best"]) == (None, None, False)
    assert (third["mean"], third["missing"], third["published"]["value"]) == (None, True, None)
    assert fourth["text"] == "a | b"
    assert table["published"] == "on a machine"
    assert any("missing" in note for note in table["notes"])


def test_the_number_of_runs_is_in_cells_only_where_it_differs():
    same = _grid(RUNS[0], RUNS[2])
    assert not counts_differ(same)
    assert counts_differ(_grid(*RUNS))
    assert cell_text(same.cells[0][0], with_n=False) == "50.00"
    assert not re.search("n=", FORMATS["md"]([same], True).split("\n- ")[0])
