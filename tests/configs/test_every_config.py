"""Every shipped configuration of a classifier builds, takes a step and proves its constant.

That each round-trips through its file is in tests/experiments/test_config_file.py. At full size a network is built on
the meta device, without numbers, and its parameters are counted. The step and the proof are those of a network of the
same kind with few and narrow layers, on four made-up images of the right shape; loss, optimiser, schedule,
augmentation, averages, clipping and precision are those of the configuration, through the functions that `onelip train`
calls. Configurations that then differ in learning rate, decay and length alone share the run of the first of them. A
cell of the grid of clipping is its base, with the method of the cell on the digits that ends alike: these two are run.
"""

from __future__ import annotations

import functools
import json
import math

import pytest
import torch
from tests.configs.reduced import SHAPES, images_like, reduced, what_matters, write_pool
from tools.clipping_configs import DIGITS, cells

from onelip import models
from onelip.certify import Certificate
from onelip.experiments import available_configs, create_run_folder, load_config
from onelip.experiments.config import ExperimentConfig
from onelip.experiments.config_file import load_any_config
from onelip.experiments.evaluation import certify_best
from onelip.experiments.preparation import prepare
from onelip.experiments.recorder import read_metrics
from onelip.experiments.training import train

NAMES = tuple(name for name in available_configs() if isinstance(load_any_config(name), ExperimentConfig))
PARAMETERS = {
    "cifar10-lipnext": 75_540_490,
    "cifar10-record": 68_788_234,
    "cifar10-record-edm": 82_944_010,
    "imagenet-record": 86_385_588,
    "layers-compared-xs-aol": 1_572_288,
    "layers-compared-l-cpl": 100_457_984,
    "layers-compared-tiny-imagenet-m-soc": 25_163_648,
    "orthogonium-cifar10-robust": 1_771_020,
    "tiny-imagenet-record": 75_643_080,
}
"""Published sizes, counted as in docs/models.md and docs/published-architectures.md."""


load = functools.cache(load_config)


def on_meta(config: ExperimentConfig, **changes: object) -> torch.nn.Module:
    shape, n_classes = SHAPES[config.data.name]
    with torch.device("meta"):
        return models.build(
            config.model.name,
            input_shape=shape,
            n_classes=n_classes,
            layer=config.layer,
            linear=config.linear,
            activation=config.activation,
            layer_options=config.layer_options,
            **config.model.options | changes,
        )


COUNTS: dict[str, int] = {}


def count(key: str, name: str) -> int:
    if key not in COUNTS:
        COUNTS[key] = sum(p.numel() for p in on_meta(load(name)).parameters())
    return COUNTS[key]


class Runs:
    """Trains and certifies reduced configurations, each kind once."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.pool = folder / "pool.npz"
        write_pool(self.pool)
        self._done: dict[str, tuple[list[dict[str, float]], bool, Certificate | None]] = {}

    def of(self, name: str) -> tuple[list[dict[str, float]], bool, Certificate | None]:
        config = reduced(load(name), self.pool).model_copy(update={"runs_dir": str(self.folder)})
        key = what_matters(config)
        if key not in self._done:
            self._done[key] = self._run(config)
        return self._done[key]

    def _run(self, config: ExperimentConfig) -> tuple[list[dict[str, float]], bool, Certificate | None]:
        experiment = prepare(config)
        before = {key: value.clone() for key, value in experiment.model.state_dict().items()}
        folder = create_run_folder(config)
        train(experiment, folder)
        # A name may be new where a layer is parametrised.
        changed = any(not torch.equal(v, before.get(k, v)) for k, v in experiment.model.state_dict().items())
        certificate = None if config.certify is None else certify_best(experiment, folder).certificate
        return read_metrics(folder), changed, certificate


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Runs:
    return Runs(tmp_path_factory.mktemp("every-config"))


@pytest.fixture
def made_up(monkeypatch) -> None:
    monkeypatch.setattr("onelip.data.load", lambda name, *_, **__: images_like(name))
    # At full width dense layers are too large to be proved together; narrow ones would take longer than all the rest.
    monkeypatch.setattr("onelip.bounds.segments.LARGEST", 0.0)


@pytest.mark.parametrize("name", NAMES)
def test_it_takes_a_step_and_proves_its_constant(name, runs, made_up):
    for part in parts(name):
        check(*runs.of(part), certified=load(part).certify is not None)


def parts(name: str) -> tuple[str, ...]:
    cell = next((cell for cell in cells() if cell.name == name), None)
    return (name,) if cell is None else (cell.base, f"{DIGITS}-{cell.method}-{cell.mode}")


def check(metrics, changed, certificate, *, certified: bool) -> None:
    assert changed
    assert len(metrics) == 1
    assert math.isfinite(metrics[0]["train_loss"])
    assert math.isfinite(metrics[0]["val_loss"])
    assert (certificate is not None) == certified
    if certificate is not None:
        assert certificate.bound.proved
        assert 0 < certificate.bound.value < math.inf
        assert len(certificate.radii) == 2


@pytest.mark.parametrize("name", NAMES)
def test_its_network_is_built_at_full_size(name):
    config = load(name)
    key = json.dumps([config.data.name, config.model.model_dump(), config.layer, config.linear, config.layer_options])
    n_parameters = count(key, name)
    assert n_parameters == PARAMETERS.get(name, n_parameters) > 100


@pytest.mark.parametrize("name", ["cifar10-record", "tiny-imagenet-record", "imagenet-record"])
def test_networks_of_full_width_fit_their_images(name):
    config = load(name)
    shape, n_classes = SHAPES[config.data.name]
    # Their number does not change the shape, and each iterates long.
    fewer = {"regularized": 1} if "regularized" in config.model.options else {}
    with torch.no_grad():
        logits = on_meta(config, **fewer)(torch.empty(2, *shape, device="meta"))
    assert logits.shape == (2, n_classes)


def test_shapes_are_those_of_every_data_set():
    assert {load(name).data.name for name in NAMES} == set(SHAPES)
