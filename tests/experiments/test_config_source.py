"""A configuration on top of another: what is merged, what replaces, and the sentence for each mistake."""

import pytest

from onelip.experiments import UserError, available_configs, load_config
from onelip.experiments.config_distributions import Choice, LogUniform, RandInt, Uniform
from onelip.experiments.config_source import (
    available_sweeps,
    config_families,
    merge_trees,
    parse_yaml,
    read_config_tree,
    read_sweep_tree,
)


def written(folder, **files):
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return str(folder / f"{next(iter(files))}.yaml")


def test_a_file_says_only_what_it_changes(tmp_path):
    child = written(
        tmp_path, child="base: digits\nname: child\ndata: {augment: {rotate: 0}}\ntrainer: {max_epochs: 3}\n"
    )
    config, base = load_config(child), load_config("digits")
    assert (config.name, config.trainer.max_epochs, config.data.augment.rotate) == ("child", 3, 0.0)
    assert config.data.augment.scale == base.data.augment.scale
    assert config.trainer.threads == base.trainer.threads
    assert config.optimizer == base.optimizer
    assert "base" not in config.resolved()


def test_bases_are_found_beside_the_file_that_names_them_over_several_levels(tmp_path, monkeypatch):
    (tmp_path / "deep").mkdir()
    (tmp_path / "top.yaml").write_text("seed: 1\nname: top\ntrainer: {max_epochs: 7}\n")
    written(tmp_path / "deep", middle="base: ../top.yaml\nname: middle\nmodel: mlp\nloss: cross-entropy\n")
    written(tmp_path / "deep", child="base: ./middle.yaml\nname: child\n")
    monkeypatch.chdir(tmp_path.parent)
    config = load_config(str(tmp_path / "deep" / "child.yaml"), ["seed=5"])
    assert (config.name, config.seed, config.trainer.max_epochs, config.model.name) == ("child", 5, 7, "mlp")


@pytest.mark.parametrize(
    ("base", "change", "merged"),
    [
        ({"optimizer": {"name": "sgd", "momentum": 0.5}}, {"optimizer": "adam"}, {"optimizer": {"name": "adam"}}),
        (
            {"optimizer": {"name": "sgd", "momentum": 0.5}},
            {"optimizer": {"name": "adam", "eps": 1}},
            {"optimizer": {"name": "adam", "eps": 1}},
        ),
        (
            {"optimizer": {"name": "sgd", "momentum": 0.5}},
            {"optimizer": {"lr": 1}},
            {"optimizer": {"name": "sgd", "momentum": 0.5, "lr": 1}},
        ),
        ({"optimizer": "sgd"}, {"optimizer": {"lr": 1}}, {"optimizer": {"name": "sgd", "lr": 1}}),
        ({"clipping": {"method": "gouk", "n_iter": 3}}, {"clipping": "none"}, {"clipping": {"method": "none"}}),
        (
            {"data": {"name": "digits", "batch_size": 9}},
            {"data": "mnist"},
            {"data": {"name": "mnist", "batch_size": 9}},
        ),
        ({"certify": {"radii": [1, 2]}}, {"certify": {"radii": [3]}}, {"certify": {"radii": [3]}}),
        ({"certify": {"radii": [1]}}, {"certify": None}, {"certify": None}),
        ({"layer": "aoc", "layer_options": {"a": 1}}, {"layer": "cpl"}, {"layer": "cpl"}),
        (
            {"layer": "aoc", "layer_options": {"a": 1}},
            {"layer_options": {"b": 2}},
            {"layer": "aoc", "layer_options": {"a": 1, "b": 2}},
        ),
        ({"certify": None}, {"certify": {"radii": [1]}}, {"certify": {"radii": [1]}}),
    ],
)
def test_mappings_merge_and_other_parts_replace(base, change, merged):
    before = repr(base)
    assert merge_trees(base, change) == merged
    assert repr(base) == before


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"a": "base: a.yaml\n"}, r"base=.*a\.yaml in .*a\.yaml leads back to itself"),
        ({"a": "base: b.yaml\n", "b": "base: a.yaml\n"}, r"base=.*a\.yaml in .*b\.yaml leads back to itself"),
        ({"a": "base: digit\n"}, r"base of .*a\.yaml: .*'digit' is unknown; did you mean 'digits'"),
        ({"a": "base: gone.yaml\n"}, r"gone\.yaml: no such file"),
        ({"a": "base: [digits]\n"}, r"base=\['digits'\] in .*a\.yaml must be the name or the path"),
        ({"a": "base: b.yaml\n", "b": "- 1\n"}, r"b\.yaml holds list; a configuration is a mapping"),
        ({"a": "base: b.yaml\n", "b": "seed: [1\n"}, r"b\.yaml, line 2"),
        ({"a": "base: digits\ntrainer: {max_epoch: 1}\n"}, r"'trainer\.max_epoch' is unknown; did you mean"),
        ({"a": "base: digits\ndata: {augment: {crop: -1}}\n"}, r"data\.augment\.crop=-1 in the configuration"),
    ],
)
def test_each_mistake_is_one_sentence(files, sentence, tmp_path):
    with pytest.raises(UserError, match=sentence) as caught:
        load_config(written(tmp_path, **files))
    assert "\n" not in str(caught.value)


def test_every_shipped_configuration_is_in_one_family():
    names = [name for family in config_families().values() for name in family]
    assert sorted(names) == sorted(set(names)) == list(available_configs())
    assert "digits" in config_families()[""]


def test_a_file_without_a_base_is_read_as_it_is(tmp_path):
    assert read_config_tree(written(tmp_path, a="seed: 1\n")) == {"seed": 1}


def test_tags_in_a_file_and_in_a_value_are_distributions(tmp_path):
    text = "optimizer: {lr: !loguniform [1e-3, 1], name: !choice [sgd, adam]}\nwidth: !randint [1, 4]\n"
    tree = read_config_tree(written(tmp_path, a=text + "model: {part: !choice [[1, 2], {a: [x]}]}\n"))
    assert tree == {
        "optimizer": {"lr": LogUniform(1e-3, 1), "name": Choice(("sgd", "adam"))},
        "width": RandInt(1, 4),
        "model": {"part": Choice(([1, 2], {"a": ["x"]}))},
    }
    assert parse_yaml("!uniform [0, 0.5]", "a value") == Uniform(0, 0.5)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: 1\nb: !loguniforn [1, 2]\n", r"a\.yaml, line 2: tag '!loguniforn' is unknown; did you mean '!loguniform'"),
        ("a: !uniform [2, 1]\n", r"a\.yaml, line 1: !uniform \[2, 1\] must have low < high"),
        ("a: !randint 3\n", r"a\.yaml, line 1: !randint \[\] must have two whole numbers"),
        ("a: !choice {b: 1}\n", r"!choice \[\] must be a list"),
        ("a: !choice [!uniform [0, 1]]\n", r"!choice has !uniform inside of it"),
        ("a: !!python/object/apply:os.system [ls]\n", r"tag .*python/object/apply:os\.system.* is unknown"),
    ],
)
def test_other_tags_and_bad_lists_are_one_sentence(text, sentence, tmp_path):
    with pytest.raises(UserError, match=sentence) as caught:
        read_config_tree(written(tmp_path, a=text))
    assert "\n" not in str(caught.value)


def test_a_base_with_factors_in_it_is_left_to_be_merged(tmp_path):
    (tmp_path / "deep").mkdir()
    files = {
        "child": "base: deep/middle.yaml\nseed: 1\n",
        "deep/middle": "base: ./x-{size}.yaml\nseed: 2\nlayer: aoc\n",
    }
    tree, template = read_sweep_tree(written(tmp_path, **files))
    assert tree == {"seed": 1, "layer": "aoc"}
    assert template == str(tmp_path / "deep" / "x-{size}.yaml")
    assert read_sweep_tree(written(tmp_path, a="base: '{size}-b'\n")) == ({}, "{size}-b")
    assert read_sweep_tree(written(tmp_path, a="seed: 3\n")) == ({"seed": 3}, None)


def test_sweeps_are_no_configurations_and_the_other_way_round():
    assert "digits-methods" in available_sweeps()
    assert not set(available_sweeps()) & set(available_configs())
    assert all(len(summary) > 20 for summary in available_sweeps().values())
    assert "sweep" in read_sweep_tree("digits-methods")[0]
    with pytest.raises(UserError, match="'digits-methods' is unknown"):
        read_config_tree("digits-methods")
