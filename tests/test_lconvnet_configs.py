"""The configurations of the BCOP paper are what the tool writes, with the paper's settings."""

import math

import pytest
from tools.lconvnet_configs import BASELINES, FOLDER, METHODS, configurations, results

from onelip.experiments import available_configs, load_config


def test_the_files_are_up_to_date():
    written = {file.stem: file.read_text("utf-8") for file in FOLDER.glob("*.yaml")}
    assert written == dict(configurations()), "write them: python -m tools.lconvnet_configs --write"


def test_the_grid_is_whole():
    convolutions = [m for m in METHODS if m != "bjorck"]
    grid = {(d, n, m) for d in ("mnist", "cifar10") for n in ("small", "large") for m in convolutions}
    assert {r.key for r in results()} == grid | {(d, "fc-3", "bjorck") for d in ("mnist", "cifar10")}
    assert {r.name for r in results()} <= set(available_configs())
    assert {f"lconvnet-{d}-{name}" for d in ("mnist", "cifar10") for name in BASELINES} <= set(available_configs())


def test_what_the_paper_compares_with_is_certified_in_its_own_way():
    kw, l2nnn = load_config("lconvnet-mnist-kw-large"), load_config("lconvnet-cifar10-l2nnn")
    assert (kw.model.name, kw.layer, kw.linear, kw.activation) == ("kw-large", "plain", "plain", "relu")
    assert (kw.relaxation.norm, kw.relaxation.radius["end"], kw.certify.relaxation) == ("l2", 1.58, "crown-ibp")
    assert (kw.data.name, kw.certify.radii, kw.attack.radii) == ("mnist", *2 * ((0.3, 1.0, 1.58, 2.0),))
    assert (l2nnn.model.options["separate"], l2nnn.relaxation, l2nnn.loss.name) == (True, None, "confidence-gap")


@pytest.mark.parametrize(
    ("name", "model", "layer", "options", "radius"),
    [
        ("lconvnet-mnist-small-bcop-fixed", "lconvnet-small", "bcop", {"square": True, "frozen": True}, 1.5),
        ("lconvnet-mnist-large-svcm", "lconvnet-large", "svcm", {}, 1.5),
        ("lconvnet-mnist-fc-3", "fc-3", "bjorck", {}, 1.5),
        ("lconvnet-cifar10-large-bcop", "lconvnet-large", "bcop", {"square": True}, 0.5),
        ("lconvnet-cifar10-small-rk-l2ne", "lconvnet-small", "rk-l2ne", {}, 0.5),
    ],
)
def test_settings_are_those_of_the_paper(name, model, layer, options, radius):
    config = load_config(name)
    assert (config.model.name, config.layer, config.layer_options, config.linear) == (model, layer, options, "bjorck")
    assert (config.loss.name, config.loss.options) == ("certified-multi-margin", {"radius": radius})
    assert (config.optimizer.name, config.optimizer.lr, config.data.batch_size) == ("adam", 1e-3, 128)
    assert config.schedule.end == pytest.approx(10 ** (-config.trainer.max_epochs / 60), rel=1e-4)
    cifar = config.data.name == "cifar10"
    assert (config.data.augment.crop, config.data.augment.flip) == ((4, True) if cifar else (0, False))
    assert config.certify.selection_radius == pytest.approx(36 / 255 if cifar else 1.58)
    assert config.attack.step_size == 0.01
    assert math.isclose(config.attack.steps * config.attack.step_size, 2.0)
