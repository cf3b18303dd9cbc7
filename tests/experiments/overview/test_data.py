"""What the page carries."""

import json
import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.experiments.overview.made_up import fill, row

from onelip.experiments.overview.columns import Column
from onelip.experiments.overview.data import encode_column, json_text, number, overview_data

texts = st.text(alphabet=st.sampled_from("<>&'\"\\/a\u2028\u00e9\n\0"), max_size=12)
trees = st.recursive(
    st.none() | texts | st.integers(-9, 9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(tree=trees)
def test_no_text_can_end_the_element_that_it_is_in(tree):
    text = json_text(tree)
    assert json.loads(text) == tree
    assert not set(text) & set("<>&\u2028\u2029\n\0")


@pytest.mark.parametrize("rounding", ["near", "down", "up"])
@given(value=st.floats(-1e300, 1e300))
def test_numbers_are_short_and_claim_no_more(rounding, value):
    short = float(number(value, rounding))
    assert short == pytest.approx(value, rel=2e-6, abs=1e-320)
    assert float(json.loads(json_text(number(value, rounding)))) == short
    # The text itself, as it is read by people.
    exact = Fraction(str(number(value, rounding)))
    if rounding == "down":
        assert exact <= Fraction(repr(value))
    if rounding == "up":
        assert exact >= Fraction(repr(value))


def test_missing_and_infinite_numbers():
    assert number(math.nan) is None
    assert number(None) is None
    assert json.loads(json_text([number(math.inf), number(-math.inf)])) == [math.inf, -math.inf]
    assert json_text({"a": 0.1 + 0.2}) == '{"a":0.3}'


def test_texts_are_numbers_of_a_sorted_list():
    coded = encode_column(Column("k", "k", "factor", ("b", None, "a", 10, 9)))
    assert coded["levels"] == ["9", "10", "a", "b"]
    assert coded["codes"] == [3, -1, 2, 1, 0]
    assert not coded["numeric"]
    assert encode_column(Column("seed", "seed", "factor", (2, 10)))["numeric"]


def test_links_are_relative_and_only_to_pages_that_are_there(tmp_path):
    rows = [fill(row(0, folder=tmp_path / "a b#")), fill(row(1, folder=tmp_path / "a b#"), page=False)]
    data = overview_data(rows, tmp_path / "pages", most_curves=10)
    assert data["paths"] == ["../a b#/000", "../a b#/001"]
    assert data["links"] == ["../a%20b%23/000/report.html", None]


def test_columns_of_numbers_keep_all_runs(tmp_path):
    rows = [row(k, folder=tmp_path, values={"accuracy": k / 7}) for k in range(5)]
    rows.append(row(5, folder=tmp_path, status="failed", error="it broke", values={}))
    data = json.loads(json_text(overview_data(rows, tmp_path, most_curves=10)))
    columns = {column["key"]: column for column in data["columns"]}
    assert columns["accuracy"]["values"] == [0, 0.1428571, 0.2857143, 0.4285714, 0.5714286, None]
    assert columns["status"]["codes"] == [1, 1, 1, 1, 1, 0]
    assert columns["error"]["levels"] == ["it broke"]
    assert data["score"] == "accuracy"
    assert data["radar"] is None
    assert all(len(column.get("codes", column.get("values"))) == 6 for column in data["columns"])


def test_curves_share_their_places(tmp_path):
    rows = [fill(row(k, folder=tmp_path)) for k in range(3)]
    curves = overview_data(rows, tmp_path, most_curves=2)["curves"]
    assert curves["left_out"] == 1
    assert [kind["key"] for kind in curves["kinds"]] == [
        "val_certified_accuracy", "val_accuracy", "train_loss", "certified:l2", "seconds",
    ]  # fmt: skip
    assert len(curves["grids"]) == 2
    assert [run for run, *_ in curves["runs"]] == [0, 1]
