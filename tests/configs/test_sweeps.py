"""The sweeps that come with the package: each is read, and the configuration of every cell is checked."""

from __future__ import annotations

import pytest

from onelip.experiments.config_source import available_sweeps
from onelip.experiments.sweep.plan import plan_search
from onelip.experiments.sweep.spec import read_sweep
from onelip.experiments.sweep.trial_run import metric_of

CELLS = {
    "digits-methods": 8,
    "fastclip": 2 * 2 * (6 * 3 - 1) * 5,
    "fastclip-digits": 51,
    "layers-compared": 31,
    "layers-compared-cifar100": 31,
    "layers-compared-tiny-imagenet": 31,
    "lconvnet": 120,
    "lconvnet-dense": 10,
    "lconvnet-wasserstein": 60,
    "lnets-mnist": 30,
    "lnets-wasserstein": 27,
    "orthogonium": 9,
}


@pytest.mark.parametrize("name", available_sweeps())
def test_every_sweep_has_the_cells_of_its_paper(name):
    spec = read_sweep(name)
    assert len(spec.cells()) == CELLS[name]
    assert spec.name == name
    metric_of(spec.section, spec.config(spec.cells()[0], spec.typical, (), ("runs", name)))


def test_the_search_of_layers_compared_is_that_of_the_paper():
    spec = read_sweep("layers-compared")
    trials = plan_search(spec)
    assert len(trials) == 31 * 16
    rates = [trial.params["optimizer.lr"] for trial in trials]
    assert min(rates) < 2e-4
    assert max(rates) > 5e-2
    cell = next(c for c in spec.cells() if c.labels == {"size": "m", "method": "soc"})
    config = spec.config(cell, spec.typical, (), ("runs", "x"))
    assert (config.model.name, config.layer, config.linear) == ("convnet-m", "soc", "bjorck")
    assert (spec.section.budget, spec.section.final.budget) == (7200.0, 86400.0)
