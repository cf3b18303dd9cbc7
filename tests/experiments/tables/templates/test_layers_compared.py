"""Tables of results of "1-Lipschitz Layers Compared"."""

import pytest
from tests.experiments.collection.made_runs import make_row
from tests.experiments.tables.templates.shipped import check_runs_are_told_apart, shipped, slots_of

from onelip.experiments.tables.filling import fill
from onelip.experiments.tables.selection import select
from onelip.experiments.tables.templates import TEMPLATES, Inputs
from onelip.experiments.tables.templates.layers_compared import budget_of

SOME = ["layers-compared-xs*", "layers-compared-cifar100-m*", "layers-compared-tiny-imagenet-s*"]


@pytest.mark.parametrize("name", ["layers-compared-accuracy", "layers-compared-cra"])
def test_methods_sizes_and_data_sets(name):
    spec = TEMPLATES[name].build(Inputs([]))[0]
    assert (len(spec.rows), len(spec.columns), len(spec.slots)) == (8, 12, 93)
    among = [one for one in shipped(SOME) if not one.endswith(("-xs", "-m", "-s"))]
    assert check_runs_are_told_apart(name, among) == 24


@pytest.mark.slow
def test_all_configurations_are_told_apart():
    among = [one for one in shipped(["layers-compared*"]) if not one.endswith(("-xs", "-s", "-m", "-l"))]
    assert check_runs_are_told_apart("layers-compared-cra", among) == 93


def test_the_published_number_and_the_radius():
    found = {(*row, *column): slot for row, column, slot in slots_of("layers-compared-cra")}
    slot = found["SOC", "CIFAR-10", "M"]
    assert (slot.value, slot.published.text, slot.published.source) == (
        "certified@0.141176",
        "66.3",
        "arXiv:2311.16833, table 9",
    )
    assert found["CPL", "CIFAR-100", "S"].published.text == ""
    assert found["AOC (ours)", "CIFAR-10", "M"].published is None
    assert ("LOT", "CIFAR-10", "L") not in found


def test_the_best_method_of_each_network():
    rows = [
        make_row(
            f"layers-compared-xs-{method}",
            f"seed={seed}",
            folder=f"{method}{seed}",
            values={"accuracy": a, "epochs": 3},
        )
        for method, a in (("aol", 0.5), ("soc", 0.7), ("aoc", 0.7))
        for seed in (0, 1)
    ]
    grid = fill(TEMPLATES["layers-compared-accuracy"].build(Inputs(rows))[0], select(rows))
    assert [cell.best for cell in [row[0] for row in grid.cells]] == [False] * 6 + [True, True]
    assert "These runs were trained for 3 epochs." in grid.notes


@pytest.mark.parametrize(
    ("changes", "options", "budget"),
    [
        (["trainer.max_epochs=837"], {}, "2h"), (["trainer.max_epochs=4185"], {}, "10h"), ([], {}, "24h"),
        (["trainer.max_epochs=3"], {}, ""), (["trainer.max_epochs=3"], {"values": {"train_seconds": 7150.0}}, "2h"),
        (["trainer.max_epochs=3"], {"factors": {"budget": "10 h"}}, "10h"), ([], {"factors": {"budget": "1h"}}, "1h"),
    ],
)  # fmt: skip
def test_budgets(changes, options, budget):
    assert budget_of(make_row("layers-compared-xs-aol", *changes, **options), 837.0) == budget


def test_a_budget_takes_its_own_runs_alone():
    runs = [
        make_row("layers-compared-xs-aol", values={"accuracy": 0.7}),
        make_row("layers-compared-xs-aoc", values={"accuracy": 0.8}),
    ]
    spec = TEMPLATES["layers-compared-9"].build(Inputs(runs))[0]
    found = {(*row, *column): slot for row, column, slot in slots_of("layers-compared-9", Inputs(runs))}
    assert len(spec.rows) == 31
    taken = {label for label, slot in found.items() if slot.given is None and any(slot.matches(run) for run in runs)}
    kinds = ("accuracy", "certified at 36/255")
    # AOC is trained for the epochs of BCOP.
    assert taken == {(method, "XS", kind, "24h") for method in ("AOL", "AOC (ours)") for kind in kinds}
    assert found["AOL", "XS", "accuracy", "2h"].published.text == "68.5"
    assert found["AOL", "XS", "certified at 36/255", "10h"].published.text == "58.8"
    assert found["AOL", "XS", "", "lr"].given == [0.06]
    assert found["BCOP", "XS", "", "lr"].given == []


def test_several_rates_are_all_named():
    runs = [make_row("layers-compared-xs-aol"), make_row("layers-compared-xs-aol", "optimizer.lr=0.1")]
    assert "0.06, 0.1" in TEMPLATES["layers-compared-9"].build(Inputs(runs))[0].slots.values()


@pytest.mark.parametrize(("number", "data"), [(9, "xs"), (10, "cifar100-xs"), (11, "tiny-imagenet-xs")])
def test_each_data_set_has_its_table(number, data):
    among = shipped([f"layers-compared-{data}-*"])
    taken = {slot.needs for _, _, slot in slots_of(f"layers-compared-{number}")}
    assert set(among) <= taken
    row = make_row(f"layers-compared-{data}-soc")
    assert sum(slot.matches(row) for _, _, slot in slots_of(f"layers-compared-{number}")) == 2
