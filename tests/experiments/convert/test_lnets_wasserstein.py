"""Estimates of LNets: distributions, steps and critics."""

from __future__ import annotations

import pytest
from tests.experiments.convert.settings_files import critic_json, write_json

from onelip.experiments import available_configs
from onelip.experiments.convert.lnets_wasserstein import GAN_DATA, steps_of
from onelip.experiments.convert.settings import convert_settings
from onelip.experiments.convert.written import check_conversion
from onelip.experiments.errors import UserError

GAN = {"name": "GANSampler", "gan_config_json_path": "out/LWGAN_mnist_2019/hparams.json", "sample_size": 32}


def converted(tmp_path, **values):
    conversion = convert_settings(write_json(tmp_path, critic_json(**values)))
    check_conversion(conversion)
    return conversion


def test_shells(tmp_path):
    tree = converted(tmp_path, distrib1__reshape_to_grid=False).tree
    assert tree["task"] == "wasserstein"
    assert tree["p"] == {"name": "shells", "centers": [[-2.0, 0.0], [2.0, 0.0]], "radius": 1e-7, "empty_dim": 0}
    assert tree["q"]["radius"] == 1.0
    assert tree["trainer"] == {"max_steps": 640, "validate_every": 32}
    assert (tree["batch_size"], tree["evaluation"]) == (32, {"n_samples": 512})
    assert tree["optimizer"]["name"] == "aggmo"


def test_a_grid(tmp_path):
    values = {
        f"distrib{i}__{key}": value for i in (1, 2) for key, value in (("empty_dim", 2), ("reshape_to_grid", [2, 2]))
    }
    assert converted(tmp_path, **values).tree["p"]["grid"] == [2, 2]


def test_a_gan_beside_its_images(tmp_path):
    tree = converted(
        tmp_path, distrib1={**GAN, "generate_type": "real"}, distrib2={**GAN, "generate_type": "generated"}
    ).tree
    assert (tree["p"], tree["q"]) == ({"name": "images", "set": "mnist"}, {"name": "gan", "config": "gan-mnist"})


def test_every_gan_has_a_configuration():
    assert {f"gan-{name}" for name in GAN_DATA} <= set(available_configs())


def test_what_has_no_counterpart_is_listed(tmp_path):
    on = {"turned_on": True, "type": "l_2"}
    values = {"model__l_constant": 2, "model__per_epoch_proj": on, "distrib2__sample_size": 64}
    notes = "\n".join(converted(tmp_path, **values).notes)
    for word in ("model.l_constant=2", "model.per_epoch_proj", "distrib2.sample_size=64"):
        assert word in notes


def test_measurements_divide_the_training():
    assert steps_of(225, 16) == {"max_steps": 3600, "validate_every": 144}
    assert steps_of(7, 5) == {"max_steps": 35, "validate_every": 5}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"distrib1__name": "SphericalShell"},
            "distrib1.name 'SphericalShell' is unknown; did you mean 'MultiSphericalShell'",
        ),
        ({"model__name": "dual_fully_conv"}, "model.name 'dual_fully_conv' is unknown; did you mean 'dual_fc'"),
        ({"distrib1": {**GAN, "gan_config_json_path": "x.json"}}, "x.json names no data set of cifar10,"),
    ],
)
def test_what_is_unknown_is_named(tmp_path, values, sentence):
    with pytest.raises(UserError, match=sentence):
        converted(tmp_path, **values)
