"""The section `projection`."""

import pytest

from onelip.experiments import UserError, load_config
from onelip.experiments.config_file import check_config
from onelip.experiments.preparation import prepare


def test_it_makes_the_callback_and_survives_the_file():
    config = load_config("digits", ["projection={kind: parseval, every: epoch, n: 3, iterations: 2, beta: 0.1}"])
    callback = config.projection.callback()
    assert (callback.kind, callback.every, callback.n) == ("parseval", "epoch", 3)
    assert callback._options == {"max_norm": 1.0, "iterations": 2, "beta": 0.1}
    assert check_config(config.resolved()) == config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["projection={}"], "projection.kind is missing"),
        (["projection={kind: l3}"], "projection.kind='l3' in the configuration is not allowed"),
        (["projection={kind: l2, beta: 0.1}"], r"beta=0\.1 in Projection has no effect on kind='l2'"),
        (
            ["projection={kind: l2}", "optimizer=schedule-free-adamw", "schedule=constant"],
            "does not reach the averages",
        ),
        (["projection={kind: l2, n: 2}", "trainer.ema={}"], "trainer.ema would average weights"),
        (["projection={kind: l2}", "clipping={method: gouk}"], "clipping.method=gouk both move weights"),
    ],
)
def test_mistakes_are_one_sentence(changes, message):
    with pytest.raises(UserError, match=message):
        load_config("digits", changes)


def test_a_network_without_such_layers_is_refused_before_the_training():
    with pytest.raises(UserError, match=r"projection.kind=l2 projects ordinary layers \(layer='plain'\)"):
        prepare(load_config("digits", ["projection={kind: l2}", "model.widths=[4]"]))
    prepare(load_config("digits", ["projection={kind: l2}", "model.widths=[4]", "layer=plain", "trainer.ema={}"]))
