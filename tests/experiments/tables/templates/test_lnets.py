"""Tables of LNets."""

import pytest
from tests.experiments.collection.made_runs import make_row
from tests.experiments.tables.templates.shipped import check_runs_are_told_apart, shipped, slots_of

from onelip.experiments.tables.templates import TEMPLATES, Inputs


def test_distances_by_critic():
    rows = [make_row("wasserstein-cones", "layer=bjorck", "activation=relu")]
    spec = TEMPLATES["lnets-w1"].build(Inputs(rows))[0]
    assert spec.columns == [
        ("polar-express", "maxmin"),
        ("polar-express", "fullsort"),
        ("bjorck", "relu"),
        ("exact", ""),
    ]
    found = {(*row, *column): slot for row, column, slot in slots_of("lnets-w1", Inputs(rows))}
    assert [label for label, slot in found.items() if slot.matches(rows[0])] == [
        ("three cones", "exact", ""), ("three cones", "bjorck", "relu"),
    ]  # fmt: skip
    assert found["three cones", "exact", ""].value == "exact"


@pytest.mark.parametrize(
    ("config", "title"),
    [
        ("wasserstein-absolute-value", "absolute value"), ("wasserstein-cones", "three cones"),
        ("wasserstein-high-dim-cone", "high-dimensional cone"),
    ],
)  # fmt: skip
def test_shipped_distances_are_told_apart(config, title):
    row = make_row(config)
    taken = {label[0] for label, _, slot in slots_of("lnets-w1", Inputs([row])) if slot.matches(row)}
    assert taken == {title}


def test_other_distances_are_left_out():
    row = make_row("wasserstein-gaussians")
    assert not any(slot.matches(row) for _, _, slot in slots_of("lnets-w1", Inputs([row])))


def test_ways_to_train_are_told_apart():
    among = [*shipped(["lnets-mnist-*"]), "lconvnet-mnist-fc-3"]
    assert check_runs_are_told_apart("lnets-classification", among) == len(slots_of("lnets-classification"))


def test_norms_are_those_of_the_layers():
    found = {(*row, *column): slot.value for row, column, slot in slots_of("lnets-classification")}
    assert found["Bjorck", "certified 0.1, l2"] == "certified@0.1"
    assert ("Bjorck", "certified 0.1, l_inf") not in found
    assert ("L-infinity", "certified 0.1, l2") not in found
    assert found["PGD training", "PGD 0.1, l_inf"] == "attacked-pgd-linf@0.1"


def test_parts_of_mnist():
    among = shipped(["lnets-small-mnist-*", "lnets-mnist-*"])
    assert check_runs_are_told_apart("lnets-small-mnist", among) == 10
    more = [make_row("lnets-small-mnist-lenet-bjorck", "data.subset.per_class=30", "activation=maxmin")]
    spec = TEMPLATES["lnets-small-mnist"].build(Inputs(more))[0]
    assert spec.rows == [("30", "plain", "relu"), ("30", "Bjorck", "maxmin"), ("100", "Bjorck", "relu")]
