"""The section of the trainer."""

import pytest

from onelip.experiments import UserError, dump_config, load_config
from onelip.experiments.config_trainer import Trainer


def test_there_are_ten_epochs_unless_something_else_is_said():
    assert Trainer().max_epochs == 10
    assert Trainer(max_epochs=None).max_epochs == 10
    assert Trainer(max_steps=3).max_epochs == 10
    assert Trainer(max_minutes=1.5).max_epochs is None


def test_every_key_survives_a_round_trip(tmp_path):
    changes = ["max_epochs=null", "max_minutes=30", "accumulate=4", "validate_every=5", "channels_last=true", "ema={}"]
    changes += ["growth=[1/4, 0.5]", "devices=[2, 0]", "num_nodes=2", "strategy=ddp"]
    config = load_config("digits", [f"trainer.{change}" for change in changes])
    assert config.trainer.ema.model_dump() == {"decay": 0.999, "warmup": True, "start": 0.0}
    assert config.trainer.growth == (0.25, 0.5)
    assert config.trainer.devices == (2, 0)
    assert (config.trainer.max_epochs, config.trainer.max_minutes) == (None, 30.0)
    file = tmp_path / "copy.yaml"
    file.write_text(dump_config(config))
    assert load_config(str(file)) == config


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("trainer.accumulate=0", "trainer.accumulate=0 in the configuration is not allowed; it must be greater than 0"),
        ("trainer.validate_every=2.5", "trainer.validate_every=2.5 in the configuration is not allowed"),
        ("trainer.channels_last=1", "trainer.channels_last=1 in the configuration is not allowed"),
        ("trainer.max_minutes=0", "trainer.max_minutes=0 in the configuration is not allowed"),
        ("trainer.max_minutes=5", "trainer.max_minutes=5 and trainer.max_epochs=200 both say when the training ends"),
        ("trainer={max_minutes: 5, max_steps: 3, max_epochs: null}", "trainer.max_minutes=5 and trainer.max_steps=3"),
        ("trainer.growth=[0.5, 0.5]", "trainer.growth=[0.5, 0.5] must be ascending parts of the training in (0, 1)"),
        ("trainer.growth=[1.5]", "trainer.growth[0]=1.5 in the configuration is not allowed; it must be less than 1"),
        ("trainer.strategy=fsdp", "trainer.strategy=fsdp is not offered: where the parameters of a layer are divided"),
        ("trainer.devices=0", "trainer.devices=0 must be auto, a number of devices, or a list of the numbers of GPUs"),
        ("trainer.devices=[1, 1]", "trainer.devices=[1, 1] must be auto, a number of devices, or a list"),
        (
            "trainer={devices: [0], accelerator: cpu}",
            "trainer.devices=[0] are numbers of GPUs, and trainer.accelerator=",
        ),
        (
            "trainer.process_group_backend=mpi",
            "trainer.process_group_backend='mpi' in the configuration is not allowed",
        ),
        ("trainer.ema=0.9", "trainer.ema=0.9 in the configuration is not allowed; it must be a mapping"),
        ("trainer.ema={decay: 1.0}", "trainer.ema.decay=1.0 in the configuration is not allowed"),
        ("trainer.ema={deca: 0.9}", "'trainer.ema.deca' is unknown; did you mean 'trainer.ema.decay'?"),
        ("certify.mirror_average=yes!", "certify.mirror_average='yes!' in the configuration is not allowed"),
        ("layer_options=3", "layer_options=3 in the configuration is not allowed"),
    ],
)
def test_each_mistake_is_one_sentence_with_its_path(override, sentence):
    with pytest.raises(UserError) as caught:
        load_config("digits", [override])
    assert sentence in str(caught.value)
