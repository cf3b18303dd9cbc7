"""Every registered layer gets a row, whatever happens."""

import pytest
import torch

from onelip import layers
from onelip.experiments.bench import results
from onelip.experiments.bench.results import measure
from onelip.experiments.bench.setup import PLAIN, Setup


def tiny(kind, methods):
    kernel = 1 if kind == "linear" else 3
    return Setup(kind, methods, 4, kernel, 6, 2, torch.device("cpu"), 1)


def measured(kind, methods):
    seen = []
    rows = measure(tiny(kind, methods), lambda done, total: seen.append((done, total)))
    assert seen == [(n, 1 + len(methods)) for n in range(2 + len(methods))]
    return rows


@pytest.mark.parametrize("kind", PLAIN)
def test_every_method_is_measured_or_says_why_not(kind):
    names = layers.available(kind)
    rows = measured(kind, names)
    assert [row.name for row in rows] == ["plain", *names]
    for row in rows:
        if row.measured is None:
            assert row.note.startswith("refused: ")
            continue
        found = row.measured
        assert min(found.parameters, found.memory, found.train.ratio, found.evaluate.ratio) > 0
        assert found.values.smallest <= found.values.largest <= found.bound.value * (1 + 1e-9)


@pytest.mark.parametrize("record", layers.records("conv2d"), ids=lambda r: r.name)
def test_declared_orthogonality_is_measured(record):
    row = measured("conv2d", (record.name,))[1]
    if row.measured is None or record.norm != "l2" or "norm_over_states" in record.exceptions:
        return
    assert row.measured.values.largest <= 1 + 1e-5
    if getattr(tiny("conv2d", ()).layer(record), "orthogonal", False):
        assert row.measured.values.smallest >= 1 - 1e-4


def test_layers_that_are_not_linear_say_so():
    row = measured("conv2d", ("cpl",))[1]
    assert "not linear" in row.note


def test_a_refusal_and_a_failure_are_rows(monkeypatch):
    def refuse(self, record):
        raise ValueError("channels=4 are\ntoo few")

    monkeypatch.setattr(Setup, "layer", refuse)
    row = measured("linear", ("qr",))[1]
    assert (row.measured, row.note) == (None, "refused: channels=4 are too few")
    monkeypatch.undo()
    original = results._measured

    def fail(setup, layer, plain):
        if isinstance(layer, layers.QRLinear):
            raise RuntimeError("out of memory")
        return original(setup, layer, plain)

    monkeypatch.setattr(results, "_measured", fail)
    rows = measured("linear", ("qr", "bjorck"))
    assert rows[1].note == "failed: RuntimeError: out of memory"
    assert rows[2].measured is not None
