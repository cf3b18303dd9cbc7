"""The section of the data."""

import dataclasses

import pytest

from onelip import data
from onelip.experiments import UserError, dump_config, load_config
from onelip.experiments.config_data import Augment

EVERYTHING = (
    "data.augment={crop: 4, flip: true, cutout: 8, resized_crop: {scale: [0.5, 1]}, color_jitter: {hue: 0.1}, "
    "rand_augment: {num_ops: 1, probability: 0.5}}"
)


def test_the_section_has_the_options_of_the_augmentation_and_its_defaults():
    assert Augment().build() == data.Augment()
    for name in ("resized_crop", "color_jitter", "rand_augment"):
        built = getattr(Augment.model_validate({name: {}}).build(), name)
        assert built == type(built)()
        section = getattr(Augment.model_validate({name: {}}), name)
        assert section.model_dump() == dataclasses.asdict(built)


def test_every_augmentation_is_configured_and_survives_a_round_trip(tmp_path):
    config = load_config("digits", [EVERYTHING, "data.generated={path: pool.npz, ratio: 2, augment: {flip: true}}"])
    assert config.data.augment.build() == data.Augment(
        crop=4, flip=True, cutout=8, resized_crop=data.ResizedCrop(scale=(0.5, 1.0)),
        color_jitter=data.ColorJitter(hue=0.1), rand_augment=data.RandAugment(num_ops=1, probability=0.5),
    )  # fmt: skip
    assert config.data.generated.model_dump(exclude={"augment"}) == {"path": "pool.npz", "ratio": 2.0}
    file = tmp_path / "copy.yaml"
    file.write_text(dump_config(config))
    assert load_config(str(file)) == config


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("data.augment.cutot=8", "'data.augment.cutot' is unknown; did you mean 'data.augment.cutout'?"),
        ("data.augment.cutout=-1", "data.augment.cutout=-1 in the configuration is not allowed"),
        ("data.augment.resized_crop={scale: [0.5, 2]}", "data.augment.resized_crop.scale[1]=2 in the configuration"),
        ("data.augment.resized_crop={scale: [0.5, 0.2]}", "scale=(0.5, 0.2) in ResizedCrop"),
        ("data.augment.resized_crop={size: 3}", "'data.augment.resized_crop.size' is unknown"),
        ("data.augment.color_jitter={hue: 0.6}", "data.augment.color_jitter.hue=0.6 in the configuration"),
        ("data.augment.rand_augment={magnitude: 31}", "magnitude=31 in RandAugment"),
        ("data.augment.rand_augment={probability: 0}", "data.augment.rand_augment.probability=0 in the configuration"),
        (
            "data.augment.rand_augment=9",
            "data.augment.rand_augment=9 in the configuration is not allowed; it must be a",
        ),
        ("data.generated=pool.npz", "data.generated='pool.npz' in the configuration is not allowed"),
        ("data.generated={ratio: 3}", "data.generated.path is missing in the configuration"),
        ("data.generated={path: a.npz, ratio: 0}", "data.generated.ratio=0 in the configuration is not allowed"),
        ("data.generated={path: a.npz, augment: {crop: x}}", "data.generated.augment.crop='x' in the configuration"),
    ],
)
def test_each_mistake_is_one_sentence_with_its_path(override, sentence):
    with pytest.raises(UserError) as caught:
        load_config("digits", [override])
    assert sentence in str(caught.value)
