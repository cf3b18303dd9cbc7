"""Templates of LConvNet: the product of all variants, as factors of a sweep."""

from __future__ import annotations

import pytest
from tests.experiments.convert.settings_files import convolutional, dense, experiment_yaml
from tests.experiments.convert.test_lconvnet import converted

from onelip.experiments.convert.written import write_conversion
from onelip.experiments.errors import UserError

SEEDS = "seed|a: 0\nseed|b: 1"


def template(rest=SEEDS):
    small = convolutional("SmallConvNet", "RKO", "net|small")
    nested = small.replace("'[submodules]'", "'[submodules]|rko'")
    bcop = nested[nested.index("  '[submodules]|rko'") :].replace("|rko", "|bcop").replace("RKO", "BCOP, frozen: true")
    units = "units|two: [3072, 64, 64, 10]\n    units|one: [3072, 64, 10]"
    return experiment_yaml(f"{nested}\n{bcop}\n{dense('net|fc', units)}", rest=rest)


def test_all_combinations_are_levels(tmp_path):
    tree = converted(tmp_path, template()).tree
    assert tree["sweep"]["search"] == "grid"
    factors = tree["sweep"]["factors"]
    assert factors["seed"] == [0, 1]
    assert set(factors["variant"]) == {"small-rko", "small-bcop", "fc-two", "fc-one"}
    options = {"square": True, "width_first": True, "frozen": True}
    model = {"name": "lconvnet-small"}
    expected = {"model": model, "layer": "bcop", "layer_options": options, "linear": "bjorck", "activation": "maxmin"}
    assert factors["variant"]["small-bcop"] == expected
    assert factors["variant"]["fc-one"]["model"] == {"name": "mlp", "widths": [64]}
    assert factors["variant"]["fc-one"]["linear"] is None


def test_variants_of_a_number(tmp_path):
    text = experiment_yaml(optimizer="{<type>: Adam, lr|slow: 0.001, lr|fast: 0.1}")
    factors = converted(tmp_path, text).tree["sweep"]["factors"]
    assert {name: level["optimizer"]["lr"] for name, level in factors["variant"].items()} == {
        "slow": 0.001,
        "fast": 0.1,
    }
    assert "seed" not in factors


def test_seeds_alone(tmp_path):
    assert converted(tmp_path, experiment_yaml(rest=SEEDS)).tree["sweep"]["factors"] == {"seed": [0, 1]}


def test_the_command_reads_the_sweep(tmp_path):
    spec = pytest.importorskip("onelip.experiments.sweep.spec", reason="sweeps are not installed")
    write_conversion(converted(tmp_path, template()), tmp_path / "sweep.yaml", "template.yaml")
    assert len(spec.read_sweep(str(tmp_path / "sweep.yaml")).cells()) == 8


def test_two_experiments_of_one_name_are_refused(tmp_path):
    text = experiment_yaml(
        optimizer="{<type>: Adam, lr|a-b: 0.001, lr|a: 0.1}", rest="num_epochs|b: 1\nnum_epochs|c: 2"
    )
    text = text.replace("num_epochs: 50\n", "").replace("lr|a-b", "lr|x-b").replace("lr|a", "lr|x")
    with pytest.raises(UserError, match="line 1: two experiments have the variants"):
        converted(tmp_path, text.replace("num_epochs|c", "num_epochs|b-b"))
