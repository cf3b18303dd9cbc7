"""What runs differ in, read off their configurations."""

import pytest
from tests.experiments.collection.made_runs import resolved

from onelip.experiments.collection.config_text import ConfigText
from onelip.experiments.collection.factors import SHOWN, factors_of


def _factors(name, *changes):
    text = ConfigText(resolved(name, changes), name)
    return factors_of(text, text.get("task"))


def test_of_a_classifier():
    assert _factors("digits", "seed=3") == {
        "data": "digits", "model": "mlp", "layer": "bjorck", "activation": "maxmin", "loss": "offset-cross-entropy",
        "margin": 0.95, "optimizer": "manifold-adam", "lr": 0.01, "weight_decay": 0.0,
        "max_epochs": 200, "seed": 3,
    }  # fmt: skip


def test_of_a_critic():
    found = _factors("wasserstein-gan-stl10")
    assert {key: found[key] for key in ("data", "p", "q", "gan", "layer", "activation")} == {
        "data": "stl10", "p": "gan", "q": "images", "gan": "gan-stl10", "layer": "bcop", "activation": "maxmin",
    }  # fmt: skip


def test_of_a_gan():
    found = _factors("gan-digits", "critic=wgan-gp")
    assert found["critic"] == "wgan-gp"
    assert found["generator"] == "infogan"
    assert found["model"] == "mlp"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("wasserstein-absolute-value", "1 shell in 1-D"),
        ("wasserstein-cones", "3 shells in 2-D"),
        ("wasserstein-high-dim-cone", "1 shell in 128-D"),
    ],
)
def test_shells_are_told_apart(name, data):
    assert _factors(name)["data"] == data


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("lconvnet-mnist-small-bcop-fixed", "layer_options", '{"frozen": true, "square": true}'),
        ("lconvnet-mnist-small-bcop-fixed", "frozen", 1),
        ("clipping-digits-fastclip-clipbn", "clipped_norms", "clip"),
        ("clipping-digits-none-nobn", "batch_norm", 0),
        ("lnets-mnist-parseval", "projection", "l2"),
        ("lnets-mnist-pgd", "adversarial", "pgd"),
        ("lnets-mnist-spectral-jacobian", "jacobian", "spectral"),
        ("lnets-mnist-dropout", "dropout", 0.5),
        ("lnets-mnist-weight-decay", "weight_decay", 1e-4),
        ("lnets-small-mnist-lenet-standard", "per_class", 30),
    ],
)
def test_rows_of_published_tables_are_told_apart(name, key, value):
    assert _factors(name)[key] == value


def test_what_is_listed_are_factors():
    found = {*_factors("lnets-small-mnist-lenet-standard"), *_factors("lconvnet-mnist-small-bcop-fixed")}
    found |= {*_factors("gan-digits"), *_factors("wasserstein-gan-digits"), *_factors("clipping-digits")}
    assert set(SHOWN) - found == set()
