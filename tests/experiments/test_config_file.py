"""Reading configurations, changing keys, and the sentence for each mistake."""

import pytest

from onelip.experiments import UserError, available_configs, dump_config, load_config
from onelip.experiments.config_distributions import Choice
from onelip.experiments.config_file import load_any_config, parse_override, set_key


@pytest.mark.parametrize("name", available_configs())
def test_shipped_configs_are_valid_and_survive_a_round_trip(name, tmp_path):
    config = load_any_config(name)
    assert config.name == name
    file = tmp_path / "copy.yaml"
    file.write_text(dump_config(config))
    assert load_any_config(str(file)) == config


def test_shipped_configs_begin_with_a_comment_for_the_list():
    assert not [name for name, summary in available_configs().items() if len(summary) <= 20]


def test_exponents_are_numbers_as_in_yaml_1_2():
    assert load_config("digits", ["optimizer.lr=1e-3"]).optimizer.lr == 1e-3


def test_overrides_apply_in_order_and_leave_the_rest():
    config = load_config("digits", ["seed=1", "trainer.max_epochs=3", "seed=2", "data.augment.crop=0"])
    assert (config.seed, config.trainer.max_epochs, config.data.augment.crop) == (2, 3, 0)
    assert config.optimizer == load_config("digits").optimizer


def test_an_option_of_a_part_that_is_left_to_its_default_can_be_set():
    config = load_any_config("gan-digits", ["generator.width=8"])
    assert (config.generator.name, config.generator.options["width"]) == ("infogan", 8)


def test_a_critic_that_is_named_as_it_was_keeps_its_options_and_another_one_its_model():
    usual, same, other = (load_any_config("gan-digits", c) for c in ([], ["critic=lipschitz"], ["critic=wgan"]))
    assert usual == same
    assert other.critic.model.name == usual.critic.model.name


def test_another_optimizer_drops_the_options_of_the_first():
    config = load_config("cifar10", ["optimizer=adamw", "optimizer.lr=2e-3"])
    assert config.optimizer.model_dump() == {
        "name": "adamw", "lr": 2e-3, "weight_decay": 0.0, "betas": (0.9, 0.999), "lookahead": None,
    }  # fmt: skip


def test_another_layer_drops_the_options_of_the_first():
    changes = ["layer=aoc", "layer_options={rank: free}"]
    assert load_config("cifar10", [*changes, "layer=aoc"]).layer_options == {"rank": "free"}
    assert load_config("cifar10", [*changes, "layer=cpl"]).layer_options == {}


def test_another_data_set_keeps_the_batch_size():
    assert load_config("cifar10", ["data=digits"]).data.batch_size == load_config("cifar10").data.batch_size


def test_an_option_can_be_set_on_a_part_given_by_name():
    assert load_config("digits", ["model=mlp", "model.width=3"]).model.options == {"width": 3}


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("trainer.max_epoch=5", "'trainer.max_epoch' is unknown; did you mean 'trainer.max_epochs'?"),
        ("trainr.max_epochs=5", "'trainr' is unknown; did you mean 'trainer'?"),
        ("lr=3", "'lr' is unknown; did you mean 'optimizer.lr'?"),
        ("schedule.milestones=[0.5]", "does not belong to this schedule, whose keys are name, warmup, start, end"),
        (
            "trainer.max_epochs=five",
            "trainer.max_epochs='five' in the configuration is not allowed; it must be a",
        ),
        ("data.batch_size=0", "data.batch_size=0 in the configuration is not allowed; it must be greater than 0"),
        ("optimizer.lr=true", "optimizer.lr=True in the configuration is not allowed; it must be a valid number"),
        ("optimizer=adamv", "optimizer 'adamv' is unknown; did you mean 'adam'?"),
        ("optimizer={lr: 1}", "has no name; write optimizer=NAME"),
        ("certify.radii=[a]", "certify.radii[0]='a' in the configuration is not allowed; it must be a valid number"),
        ("certify.radii=[]", "it must have at least one entry"),
        ("certify.norm=l1", "certify.norm='l1' in the configuration is not allowed; it must be 'l2' or 'linf'"),
        (
            "certify.semantics=float32",
            "certify.semantics='float32' in the configuration is not allowed; it must be 'real' or 'executed-float64'",
        ),
        ("clipping={max_norm: 1}", "clipping.method is missing in the configuration"),
        ("clipping.max_norm=0", "clipping.max_norm=0 in the configuration is not allowed; it must be greater than 0"),
        ("clipping.batch_norm=off", "it must be 'keep', 'clip' or 'joint'"),
        ("clipping=3", "clipping=3 in the configuration is not allowed; it must be a mapping"),
        ("data=3", "data=3 in the configuration is not allowed; it must be a mapping"),
        ("optimizer=schedule-free-adamw", "use schedule=constant"),
        ("name=a/b", "it must be letters, digits and"),
        ("seed=[1", "the value of seed, line 1"),
        ("seed", "'seed' is not a change of the configuration; write it as key.subkey=value"),
        ("a..b=1", "'a..b=1' is not a change"),
    ],
)
def test_each_mistake_is_one_sentence(override, sentence):
    first = ["clipping=fastclip"] if override.startswith("clipping.") else ["schedule=one-cycle"]
    with pytest.raises(UserError) as caught:
        load_config("digits", [*first, override])
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_method_of_clipping_may_be_given_by_its_name():
    clipping = load_config("digits", ["clipping=fastclip", "clipping.max_norm=2", "clipping.period=50"]).clipping
    assert (clipping.method, clipping.max_norm, clipping.options) == ("fastclip", 2.0, {"period": 50})
    other = load_config("digits", ["clipping={method: gouk, n_iter: 2, max_norm: 3}", "clipping=fastclip"]).clipping
    assert (other.max_norm, other.options) == (3.0, {})
    assert load_config("digits", ["clipping=null", "certify=null", "attack=null"]).certify is None


def test_a_name_like_no_other_gives_the_command_that_lists_them():
    with pytest.raises(UserError, match="'zzzz' is unknown; their names are printed by: onelip list configs"):
        load_any_config("zzzz")


def test_unknown_config_name_gives_the_nearest():
    with pytest.raises(UserError, match="did you mean 'digits'"):
        load_config("digit")


def test_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"mine\.yaml: no such file"):
        load_config(str(tmp_path / "mine.yaml"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("seed: 1\nseed: 2\n", "duplicate key"),
        ("seed: [1\n", "line 2"),
        ("- a\n", "a configuration is a mapping"),
        ("loss: cross-entropy\n", "model is missing"),
        ("seed: !!python/object/apply:os.getcwd []\n", "is unknown; it must be one of"),
    ],
)
def test_broken_files_are_refused(text, sentence, tmp_path):
    file = tmp_path / "broken.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=sentence):
        load_config(str(file))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("base: digits\nsweep: {trials: 2}\n", r"a\.yaml is a sweep over .*; run it with: onelip sweep .*a\.yaml$"),
        (
            "base: digits\noptimizer: {lr: !loguniform [1e-3, 1]}\n",
            r"optimizer\.lr is drawn, by !loguniform, which onelip sweep does; give it one value",
        ),
        ("base: digits\nmodel: {widths: [!randint [1, 2]]}\n", r"model\.widths has !randint inside of a list"),
    ],
)
def test_a_sweep_is_not_trained(text, sentence, tmp_path):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(UserError, match=sentence):
        load_any_config(str(tmp_path / "a.yaml"))
    with pytest.raises(UserError, match=r"seed is drawn, by !randint"):
        load_any_config("digits", ["seed=!randint [0, 5]"])


def test_a_drawn_section_is_not_dumped_from_the_cache_of_another():
    first, second = (load_config("digits", [f"optimizer.lr={rate}"]) for rate in (0.25, 0.5))
    assert "lr: 0.25" in dump_config(first)
    assert "lr: 0.5" in dump_config(second)
    assert "lr: 0.25" in dump_config(first)


def test_changes_are_read_as_path_and_value():
    assert parse_override(" a.b = [1, 2]") == ("a.b", [1, 2])
    assert parse_override("a=") == ("a", None)
    assert parse_override("a=!choice [1, 2]") == ("a", Choice((1, 2)))
    for wrong in ("a", "=1", "a..b=1"):
        with pytest.raises(UserError, match=r"is not a change of the configuration; write it as key\.subkey=value"):
            parse_override(wrong)


def test_a_key_is_set_in_copies_of_the_sections_on_the_way():
    inner = {"b": 1}
    tree = {"a": inner, "optimizer": {"name": "sgd", "momentum": 0.5}}
    for path, value in (("a.b", 2), ("a.c.d", 3), ("optimizer", "adam")):
        set_key(tree, path, value)
    assert tree == {"a": {"b": 2, "c": {"d": 3}}, "optimizer": {"name": "adam"}}
    assert inner == {"b": 1}
