"""The configurations of "1-Lipschitz Layers Compared" are what the tool writes, with the paper's settings."""

import pytest
from tools.layers_compared_configs import DATA, FOLDER, METHODS, SIZES, UNPUBLISHED, configurations, results

from onelip.experiments import available_configs, load_config


def test_the_files_are_up_to_date():
    written = {file.stem: file.read_text("utf-8") for file in FOLDER.glob("*.yaml")}
    assert written == dict(configurations()), "write them: python -m tools.layers_compared_configs --write"


def test_every_method_is_there_in_every_size_but_the_largest_of_lot():
    found = {(r.data, r.size, r.method) for r in results()}
    grid = {(d, s, m) for d in DATA for s in SIZES for m in METHODS if m != UNPUBLISHED}
    assert grid - found == {(name, "l", "lot") for name in DATA}
    assert len(results()) == len(found) == 81
    names = {f"{DATA[d].family}-{s}-{m}" for d, s, m in found}
    assert names <= set(available_configs())
    assert {f"layers-compared-{size}-aoc" for size in SIZES} <= set(available_configs())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("layers-compared-m-soc", ("convnet-m", "soc", "bjorck", 7e-2, 1e-4, 2412)),
        ("layers-compared-xs-cpl", ("convnet-xs", "cpl", None, 3e-2, 1e-4, 10032)),
        ("layers-compared-l-aoc", ("convnet-l", "aoc", None, 1e-3, 9e-6, 288)),
        ("layers-compared-cifar100-s-lot", ("convnet-s", "lot", None, 5e-2, 2e-4, 816)),
        ("layers-compared-tiny-imagenet-xs-bcop", ("tiny-convnet-xs", "bcop", "bjorck", 6e-4, 5e-5, 600)),
    ],
)
def test_settings_are_those_of_the_paper(name, expected):
    config = load_config(name)
    optimizer = config.optimizer
    assert expected == (
        config.model.name, config.layer, config.linear, optimizer.lr, optimizer.weight_decay, config.trainer.max_epochs,
    )  # fmt: skip
    assert (optimizer.name, optimizer.momentum, optimizer.nesterov) == ("sgd", 0.9, False)
    assert (config.data.batch_size, config.loss.options) == (256, {"margin": 0.3993, "temperature": 0.25})


def test_images_are_changed_as_for_each_data_set():
    cifar, tiny = (
        load_config(name).data.augment for name in ("layers-compared-l-aol", "layers-compared-tiny-imagenet-l-aol")
    )
    assert (cifar.crop, cifar.flip, cifar.fill, cifar.rand_augment) == (4, True, "mean", None)
    assert (tiny.crop, tiny.flip, tiny.rand_augment.num_ops, tiny.rand_augment.magnitude) == (0, False, 2, 9)
