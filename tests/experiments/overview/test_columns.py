"""The columns of the table."""

import math

import pytest
from tests.experiments.overview.made_up import row

from onelip.experiments.overview.columns import readable_name, score_column, table_columns, told_apart


def named(rows):
    return {column.key: column for column in table_columns(rows)}


def test_columns_stand_in_the_order_in_which_they_are_read():
    values = {"val_loss": 1.0, "train_seconds": 3.0, "certified@0.5": 0.1, "accuracy": 0.9, "certified@0.25": 0.2}
    rows = [row(0, values=values), row(1, status="failed", error="it broke", layer="aol", values={})]
    assert [column.key for column in table_columns(rows)] == [
        "status", "name", "task", "stage", "data", "layer", "seed",
        "accuracy", "certified@0.25", "certified@0.5", "train_seconds", "val_loss", "error",
    ]  # fmt: skip


def test_what_is_the_same_in_all_runs_is_hidden_at_first():
    columns = named([row(0), row(1, layer="aol")])
    shown = {key for key, column in columns.items() if column.shown}
    assert shown == {"status", "layer", "seed", "accuracy", "certified@0.141176", "train_seconds"}
    assert not columns["error"].shown
    assert named([row(0), row(1, status="failed", error="it broke")])["error"].shown


def test_guarantees_are_rounded_down_bounds_up_and_shares_are_known():
    values = {"certified@0.5": 0.1, "lipschitz_bound": 0.99, "accuracy": 0.9, "train_seconds": 1.5, "n_parameters": 7.0}
    columns = named([row(0, values=values | {"attacked@0.5": 0.2, "frechet_sq": 3.0})])
    assert [columns[key].unit for key in values] == ["share", "plain", "share", "seconds", "count"]
    assert [columns[key].rounding for key in values] == ["down", "up", "near", "near", "near"]
    lower = {key for key, column in columns.items() if column.lower_is_better}
    assert lower == {"lipschitz_bound", "train_seconds", "n_parameters", "frechet_sq"}


def test_what_is_missing_is_none():
    columns = named([row(0, values={"accuracy": math.nan, "val_loss": 1.0}), row(1, values={"accuracy": 0.5})])
    assert columns["accuracy"].values == (None, 0.5)
    assert columns["val_loss"].values == (1.0, None)


def test_what_rests_on_an_estimate_is_in_no_column_of_proofs():
    values = {"lipschitz_bound": 1.0, "certified@0.5": 0.3, "accuracy": 0.9}
    proved, estimated = (
        row(0, values=values | {"lipschitz_proved": 1.0}),
        row(1, values=values | {"lipschitz_proved": 0.0}),
    )
    columns = named([proved, estimated])
    assert columns["lipschitz_bound"].values == (1.0, None)
    assert columns["estimated_constant"].values == (None, 1.0)
    assert columns["certified@0.5"].values == (0.3, None)
    assert columns["estimate@0.5"].values == (None, 0.3)
    assert "not proved" in columns["estimate@0.5"].name
    assert "lipschitz_proved" not in columns
    assert told_apart(values) == values


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("certified@0.141176", "certified at 36/255"),
        ("certified@0.25", "certified at 0.25"),
        ("attacked@1", "under attack at 1"),
        ("attacked-apgd-t-l2@0.5", "under apgd-t-l2 at 0.5"),
        ("relaxed@0.00784314", "by relaxation at 2/255"),
        ("lipschitz_bound", "proved constant"),
        ("seconds_per_epoch", "seconds per epoch"),
        ("certified@x", "certified at x"),
    ],
)
def test_names_can_be_read(key, name):
    assert readable_name(key) == name


def test_runs_are_ranked_by_what_was_certified_unless_few_have_it():
    certified, searched = row(0), row(1, values={"val_accuracy": 0.8})
    assert score_column(table_columns([certified, searched])).key == "certified@0.141176"
    assert score_column(table_columns([certified, *[searched] * 3])).key == "val_accuracy"
    assert score_column(table_columns([row(0, values={})])) is None


def test_drawn_numbers_are_numbers_and_drawn_names_are_names():
    first, second = row(0), row(1)
    object.__setattr__(first, "params", {"optimizer.lr": 0.1, "loss.name": "a"})
    object.__setattr__(second, "params", {"optimizer.lr": 1, "loss.name": "b"})
    columns = named([first, second])
    assert (columns["optimizer.lr"].unit, columns["loss.name"].unit) == ("plain", "text")
    assert columns["optimizer.lr"].group == "parameter"
