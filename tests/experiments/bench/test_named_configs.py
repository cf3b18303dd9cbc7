import pytest

from onelip.experiments import UserError, load_config
from onelip.experiments.bench.named_configs import Named, layers_compared, named_configs, with_changes
from onelip.experiments.config_source import available_configs


def test_names_patterns_and_changes():
    found = named_configs(["digits", "layers-compared-x*-aoc", "data.batch_size=3", "own.yaml", "digits", "seed=1"])
    changes = ("data.batch_size=3", "seed=1")
    assert found == [Named(name, changes) for name in ("digits", "layers-compared-xs-aoc", "own.yaml")]
    assert str(found[0]) == "digits data.batch_size=3 seed=1"
    assert named_configs(["layers-compared-*-lot"]) == [
        Named(name) for name in available_configs() if name.startswith("layers-compared-") and name.endswith("-lot")
    ]


def test_a_pattern_that_fits_nothing_is_refused():
    with pytest.raises(UserError, match=r"no configuration fits 'nothing-\*'"):
        named_configs(["nothing-*"])


def test_the_family_by_its_factors():
    assert layers_compared(["xs", "l"], ["aoc", "lot"], ["cifar100"]) == [
        Named("layers-compared-cifar100-xs-aoc"),
        Named("layers-compared-cifar100-xs-lot"),
        Named("layers-compared-cifar100-l-aoc"),
        # The paper has no results of it.
        Named("layers-compared-cifar100-l", ("layer=lot",)),
    ]
    whole = layers_compared([], [], [])
    assert len(whole) == 4 * 8
    for named in whole:
        config = load_config(named.name, named.changes)
        _, _, size, method = (
            f"{named.name}-{named.changes[0][6:]}".split("-") if named.changes else named.name.split("-")
        )
        assert (config.model.name, config.layer, config.data.name) == (f"convnet-{size}", method, "cifar10")


@pytest.mark.parametrize(("sizes", "data", "message"), [(["xl"], [], "size 'xl'"), ([], ["mnist"], "data set 'mnist'")])
def test_other_factors_are_refused(sizes, data, message):
    with pytest.raises(UserError, match=f"{message} is unknown"):
        layers_compared(sizes, [], data)


def test_more_changes_come_last():
    assert with_changes(Named("a", ("layer=lot",)), ["seed=1"]) == Named("a", ("layer=lot", "seed=1"))
