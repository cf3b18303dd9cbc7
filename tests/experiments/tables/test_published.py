"""The numbers of papers."""

from importlib import resources

import pytest

from onelip.experiments.tables.published import Published, published, records

FILES = sorted(
    file.name.removesuffix(".csv")
    for file in resources.files("onelip.experiments.tables").joinpath("published").iterdir()
    if file.name.endswith(".csv")
)


def test_a_number_with_its_deviation_and_source():
    found = published("lconvnet", data="cifar10", network="large", method="bcop", measure="certified")
    assert (found.value, found.spread, found.unit) == (58.72, 0.23, "percent")
    assert found.source.startswith("arXiv:1911.00937")
    assert "table 1" in found.source


def test_what_is_not_there():
    assert published("lconvnet", data="cifar10", network="large", method="aoc", measure="certified") is None
    # A training that collapsed is a dash.
    dash = published("layers_compared", data="cifar100", method="cpl", size="s", budget="24h", measure="accuracy")
    assert (dash.text, dash.value, dash.spread) == ("", None, None)
    assert Published("c^3 k^4", "", "symbolic", "").value is None


@pytest.mark.parametrize("file", FILES)
def test_files_are_whole(file):
    rows = records(file)
    keys = [tuple(v for k, v in row.items() if k not in ("value", "deviation", "unit", "source")) for row in rows]
    assert len(set(keys)) == len(keys)
    assert all(None not in row.values() for row in rows)
    assert all(row["source"] for row in rows)
    shares = [float(row["value"]) for row in rows if row["unit"] == "percent" and row["value"]]
    assert all(0 <= share <= 100 for share in shares)
    # Certified images are classified correctly.
    by_key = {tuple(sorted((k, v) for k, v in row.items() if k not in ("value", "deviation"))): row for row in rows}
    for row in by_key.values():
        other = {**row, "measure": "accuracy"} if row.get("measure") == "certified" else None
        if other is not None and row["value"]:
            found = [
                r for r in rows if all(r[k] == other[k] for k in other if k not in ("value", "deviation", "source"))
            ]
            assert float(row["value"]) <= float(found[0]["value"])


def test_there_are_files():
    assert {"lconvnet", "lconvnet_w1", "layers_compared", "layers_compared_radar", "orthogonium"} <= set(FILES)
