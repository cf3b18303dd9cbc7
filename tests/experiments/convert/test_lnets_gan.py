"""GANs of LNets and LConvNet."""

from __future__ import annotations

import pytest
from tests.experiments.convert.settings_files import gan_json, write_json

from onelip.experiments.convert.settings import convert_settings
from onelip.experiments.convert.written import check_conversion
from onelip.experiments.errors import UserError


def converted(tmp_path, **values):
    conversion = convert_settings(write_json(tmp_path, gan_json(**values)))
    check_conversion(conversion)
    return conversion


@pytest.mark.parametrize(("kind", "ours"), [("LWGAN", "lipschitz"), ("WGAN", "wgan"), ("WGAN_GP", "wgan-gp")])
def test_critics(tmp_path, kind, ours):
    conversion = converted(tmp_path, gan_type=kind)
    tree = conversion.tree
    assert (tree["task"], tree["name"], tree["critic"]["name"]) == ("gan", "one-mnist", ours)
    assert tree["critic"]["optimizer"] == {"name": "adam", "lr": 2e-3, "betas": [0.5, 0.99]}
    assert tree["optimizer"]["lr"] == 1e-4
    assert tree["data"] == {"name": "mnist", "batch_size": 60, "size": 28}
    # 20 epochs of 1,000 batches.
    assert tree["trainer"] == {"max_steps": 20_000, "validate_every": 1000}
    assert "no counterpart: gpu_mode=true" in conversion.notes
    assert any("critic.weight=10" in note for note in conversion.notes) == (kind == "WGAN_GP")


def test_a_given_weight_of_the_penalty(tmp_path):
    tree = gan_json(gan_type="WGAN_GP")
    tree["lambda"] = 50
    assert convert_settings(write_json(tmp_path, tree)).tree["critic"]["weight"] == 50.0


def test_unknown_kinds_are_named(tmp_path):
    with pytest.raises(UserError, match="gan_type 'GAN' is unknown; did you mean 'WGAN'"):
        converted(tmp_path, gan_type="GAN")
