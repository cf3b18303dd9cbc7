"""Every shipped configuration builds, takes a step, proves its constant and round-trips through its file.

At full size a network is built on the meta device, without numbers, and its parameters are counted. The step and the
proof are those of a network of the same kind with few and narrow layers, on four made-up images of the right shape;
loss, optimiser, schedule, augmentation, averages, clipping and precision are those of the configuration, through the
functions that `onelip train` calls. Configurations that then differ in learning rate, decay and length alone share the
run of the first of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from tests.configs.reduced import SHAPES, images_like, reduced, what_matters, write_pool

from onelip import models
from onelip.certify import Certificate
from onelip.experiments import available_configs, create_run_folder, dump_config, load_config
from onelip.experiments.config import ExperimentConfig
from onelip.experiments.evaluation import certify_best
from onelip.experiments.preparation import prepare
from onelip.experiments.recorder import read_metrics
from onelip.experiments.training import train

NAMES = tuple(available_configs())
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


class Runs:
    """Trains and certifies reduced configurations, each kind once."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.pool = folder / "pool.npz"
        write_pool(self.pool)
        self._done: dict[str, tuple[list[dict[str, float]], bool, Certificate | None]] = {}

    def of(self, name: str) -> tuple[list[dict[str, float]], bool, Certificate | None]:
        config = reduced(load_config(name, [f"runs_dir={self.folder}"]), self.pool)
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
    load: Callable[..., object] = lambda name, *_, **__: images_like(name)  # noqa: E731
    monkeypatch.setattr("onelip.data.load", load)


@pytest.mark.parametrize("name", NAMES)
def test_it_takes_a_step_and_proves_its_constant(name, runs, made_up):
    metrics, changed, certificate = runs.of(name)
    config = load_config(name)
    assert changed
    assert len(metrics) == 1
    assert math.isfinite(metrics[0]["train_loss"])
    assert math.isfinite(metrics[0]["val_loss"])
    assert (certificate is None) == (config.certify is None)
    if certificate is not None:
        assert certificate.bound.proved
        assert 0 < certificate.bound.value < math.inf
        assert len(certificate.radii) == 2


@pytest.mark.parametrize("name", NAMES)
def test_it_round_trips_through_its_file(name, tmp_path):
    config = load_config(name)
    file = tmp_path / "config.yaml"
    file.write_text(dump_config(config), encoding="utf-8")
    assert load_config(str(file)) == config
    assert config.name == name


@pytest.mark.parametrize("name", NAMES)
def test_its_network_is_built_at_full_size(name):
    n_parameters = sum(p.numel() for p in on_meta(load_config(name)).parameters())
    assert n_parameters == PARAMETERS.get(name, n_parameters) > 100


@pytest.mark.parametrize("name", ["cifar10-record", "tiny-imagenet-record", "imagenet-record"])
def test_networks_of_full_width_fit_their_images(name):
    config = load_config(name)
    shape, n_classes = SHAPES[config.data.name]
    # Their number does not change the shape, and each iterates long.
    fewer = {"regularized": 1} if "regularized" in config.model.options else {}
    with torch.no_grad():
        logits = on_meta(config, **fewer)(torch.empty(2, *shape, device="meta"))
    assert logits.shape == (2, n_classes)


def test_shapes_are_those_of_every_data_set():
    assert {load_config(name).data.name for name in NAMES} == set(SHAPES)
