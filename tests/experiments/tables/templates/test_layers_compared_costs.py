"""Tables of costs of "1-Lipschitz Layers Compared"."""

import math

from tests.experiments.collection.made_runs import make_row
from tests.experiments.tables.templates.shipped import slots_of

from onelip.experiments.bench.measurements import Measurement
from onelip.experiments.tables.filling import fill
from onelip.experiments.tables.selection import select
from onelip.experiments.tables.templates import TEMPLATES, Inputs
from onelip.experiments.tables.templates.layers_compared_costs import measured


def _cost(model, method, batch=256, **numbers):
    return Measurement("a machine", "cpu", "1.0", "2026-01-02", model, method, batch, 32, 10, **numbers)


def _cells(name, inputs):
    grid = fill(TEMPLATES[name].build(inputs)[0], select(inputs.runs))
    spec = grid.spec
    return {(*spec.rows[r], *spec.columns[c]): cell for r, row in enumerate(grid.cells) for c, cell in enumerate(row)}


def test_numbers_of_a_measurement():
    row = _cost("convnet-xs", "aol", train_seconds=0.5)
    assert measured(row, "train_seconds") == 0.5
    assert measured(row, "eval_seconds") is None


def test_epochs_in_two_hours():
    runs = [make_row("layers-compared-xs-aol", values={"seconds_per_epoch": 100.0})]
    runs.append(make_row("layers-compared-s-aol", values={"seconds_per_epoch": 7.3}))
    # These have parts of an epoch only.
    for change in ("trainer.max_steps=6", "data.subset={per_class: 60}"):
        runs.append(make_row("layers-compared-s-bcop", change, values={"seconds_per_epoch": 0.1}))
    costs = [
        _cost("convnet-xs", "aol", train_seconds=0.25),
        _cost("tiny-convnet-m", "soc", batch=100, train_seconds=0.3),
    ]
    cells = _cells("layers-compared-budgets", Inputs(runs, costs, {"layers-compared-l-cpl": 41.0}))
    # Measurements come before runs; 196 batches of 256 images are an epoch.
    assert cells["AOL", "CIFAR-10", "XS"].summary.mean == math.floor(7200 / (0.25 * 196))
    assert cells["SOC", "Tiny-ImageNet", "M"].summary.mean == math.floor(7200 / (0.3 * 1000))
    assert cells["AOL", "CIFAR-10", "S"].summary.mean == math.floor(7200 / 7.3)
    assert cells["CPL", "CIFAR-10", "L"].summary.mean == math.floor(7200 / 41)
    assert cells["BCOP", "CIFAR-10", "S"].missing
    assert cells["AOL", "CIFAR-10", "XS"].published.text == "837"
    # There is no such layer here.
    assert not cells["ECO", "CIFAR-10", "XS"].missing
    assert cells["ECO", "CIFAR-10", "XS"].published.text == "399"


def test_formulas_and_measurements():
    costs = [
        _cost("convnet-xs", "plain", forward_flops=10**9), _cost("convnet-xs", "aol", train_memory_bytes=2**21),
        _cost("convnet-s", "aol", train_flops=5),
    ]  # fmt: skip
    cells = _cells("layers-compared-theory", Inputs([], costs))
    assert cells["AOL", "theory", "parameter MACs"].text == "c^3 k^4"
    assert cells["AOC (ours)", "theory", "input MACs"].text == ""
    assert cells["standard", "convnet-xs, batch 256 cpu", "forward FLOPs"].summary.mean == 10**9
    assert cells["AOL", "convnet-xs, batch 256 cpu", "training memory"].summary.mean == 2.0
    assert cells["AOL", "convnet-s, batch 256 cpu", "training FLOPs"].summary.mean == 5
    assert cells["SOC", "convnet-xs, batch 256 cpu", "forward FLOPs"].missing


def test_without_measurements_there_are_formulas_alone():
    assert slots_of("layers-compared-theory") == []
