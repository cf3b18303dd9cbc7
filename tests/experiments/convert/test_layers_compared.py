"""Settings of Layers Compared: all shapes of the published search become sweeps whose networks train."""

from __future__ import annotations

import math

import pytest
import torch
from tests.configs.reduced import images_like
from tests.experiments.convert.settings_files import METHODS, SIZES, search_settings

from onelip import losses, models
from onelip.experiments.config import ExperimentConfig
from onelip.experiments.config_file import check_config
from onelip.experiments.convert.conversion import Drawn
from onelip.experiments.convert.settings import convert_settings
from onelip.experiments.convert.written import check_conversion
from onelip.experiments.errors import UserError

LAYERS = dict(zip(METHODS, ("aol", "bcop", "cpl", "cayley", "lot", "sll", "soc"), strict=True))
WIDTHS = dict(zip(SIZES, (16, 32, 64), strict=True))


def converted(tmp_path, text, *changes):
    path = tmp_path / "settings.yml"
    path.write_text(text, "utf-8")
    return convert_settings(path, changes)


def example(conversion) -> ExperimentConfig:
    tree = next(conversion.examples())
    tree.pop("sweep", None)
    return check_config(tree)


def build(config: ExperimentConfig, **options: object) -> torch.nn.Module:
    return models.build(
        config.model.name,
        input_shape=(3, 32, 32),
        n_classes=10,
        layer=config.layer,
        linear=config.linear,
        activation=config.activation,
        layer_options=config.layer_options,
        **config.model.options | options,
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("method", METHODS)
def test_every_search_of_the_comparison_becomes_a_sweep_whose_network_is_built(tmp_path, method, size):
    conversion = converted(tmp_path, search_settings(method, size))
    check_conversion(conversion)
    tree = conversion.tree
    assert tree["sweep"] == {"search": "random", "trials": 16, "metric": "val_certified_accuracy"}
    assert tree["layer"] == LAYERS[method]
    assert tree["optimizer"]["lr"] == Drawn("loguniform", (1e-4, 0.1))
    assert tree["optimizer"]["weight_decay"] == Drawn("loguniform", (3.16228e-06, 3.16228e-04))
    assert tree["loss"] == {"name": "offset-cross-entropy", "margin": 0.3993, "temperature": 0.25}
    assert tree["schedule"] == {"name": "one-cycle", "warmup": 0.3, "start": 0.04, "end": 4e-06}
    assert tree["certify"]["radii"] == ["36/255", "72/255", "108/255", 1.0]
    with torch.device("meta"):
        network = build(example(conversion))
    assert network.first.in_channels == WIDTHS[size]
    if method == "AOLConv2d":
        # The published number, 6130 w^2 + 188 w.
        w = WIDTHS[size]
        assert sum(p.numel() for p in network.parameters()) == 6130 * w**2 + 188 * w


@pytest.mark.parametrize("method", METHODS)
def test_it_starts(tmp_path, method):
    conversion = converted(tmp_path, search_settings(method))
    config = example(conversion)
    torch.manual_seed(config.seed)
    network = build(config, width=4, depth=1)
    loss = losses.build(config.loss.name, **config.loss.options)
    images = images_like("cifar10").train
    optimizer = torch.optim.SGD(network.parameters(), lr=config.optimizer.lr, momentum=config.optimizer.momentum)
    before = [p.detach().clone() for p in network.parameters()]
    value = loss(network(images.pixels(slice(0, 4))), images.labels[:4])
    value.backward()
    optimizer.step()
    assert math.isfinite(float(value.detach()))
    assert any(not torch.equal(p, old) for p, old in zip(network.parameters(), before, strict=True))


def test_a_sweep_is_one_that_the_command_reads(tmp_path):
    spec = pytest.importorskip("onelip.experiments.sweep.spec", reason="sweeps are not installed")
    from onelip.experiments.convert.written import write_conversion

    write_conversion(converted(tmp_path, search_settings("BCOP")), tmp_path / "sweep.yaml", "settings.yml")
    sweep = spec.read_sweep(str(tmp_path / "sweep.yaml"))
    assert set(sweep.distributions) == {"optimizer.lr", "optimizer.weight_decay"}


def test_nothing_is_dropped_silently(tmp_path):
    text = search_settings("LOT", valset="!dataset {name: CIFAR10, train: false}", device="cuda")
    notes = "\n".join(converted(tmp_path, text).notes)
    for word in (
        "num_workers=4",
        "device=cuda",
        "eval_metrics.speed",
        "momentum",
        "valset is the test set",
        "each step",
    ):
        assert word in notes
    assert "0.1411 is 36/255" in notes


def test_a_random_seed_alone_makes_no_sweep(tmp_path):
    conversion = converted(
        tmp_path, search_settings("SOC", optimizer="!optimizer {name: SGD, lr: 0.05, momentum: 0.9}")
    )
    assert "sweep" not in conversion.tree
    assert any("seed=!randint [0, 999]" in note for note in conversion.notes)
    assert example(conversion).optimizer.lr == 0.05


def test_a_choice_of_layers_is_drawn(tmp_path):
    text = search_settings("SOC").replace("!layer SOC", "!choice [!layer SOC, !layer AOLConv2d, !layer AOLConv2dOrth]")
    conversion = converted(tmp_path, text)
    assert conversion.tree["layer"] == Drawn("choice", ("soc", "aol"))
    assert "padding_mode" not in conversion.tree["model"]
    check_conversion(conversion)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("!randint", "!randit", "settings.yml, line 6: tag '!randit' is unknown; did you mean '!randint'?"),
        ("!layer BCOP", "!layer BCOPP", "settings.yml, line 7: layer 'BCOPP' is unknown; did you mean 'BCOP'?"),
        (
            "ConvNetXS",
            "ConvNetXXS",
            "settings.yml, line 4: model_id 'ConvNetXXS' is unknown; did you mean 'ConvNetXS'?",
        ),
        ("get_linear", "linear", "settings.yml, line 8: key of model 'linear' is unknown; did you mean 'get_linear'?"),
        (
            "BjorckLinear",
            "Bjorck",
            "settings.yml, line 8: linear layer 'Bjorck' is unknown; did you mean 'BjorckLinear'?",
        ),
        ("name: SGD", "name: Adam", "settings.yml, line 10: optimizer 'Adam' is unknown; did you mean 'Adams'?"),
        (
            "OneCycleLR,",
            "OneCycle,",
            "settings.yml, line 11: scheduler 'OneCycle' is unknown; did you mean 'OneCycleLR'?",
        ),
        ("CIFAR10", "CIFAR", "settings.yml, line 13: data set 'CIFAR' is unknown; did you mean 'CIFAR10'?"),
        ("Throughput", "Speed", "settings.yml, line 21: metric 'Speed' is unknown"),
        ("epochs: 100\n", "epochs: many\n", "settings.yml, line 9: epochs=many must be a positive whole number"),
        ("batch_size", "batchsize", "settings.yml, line 14: key of the file 'batchsize' is unknown; did you mean"),
        ("train: true", "train: false", "settings.yml, line 13: trainset.train=false would train on the test images"),
    ],
)
def test_what_is_unknown_is_named_with_its_line(tmp_path, old, new, sentence):
    with pytest.raises(UserError) as caught:
        converted(tmp_path, search_settings("BCOP").replace(old, new, 1))
    assert str(caught.value).startswith(sentence)
