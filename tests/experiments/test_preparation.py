"""From a configuration to an experiment in memory, without writing anything."""

import re

import pytest
import torch

from onelip.experiments import UserError, load_config
from onelip.experiments.config_file import dump_config
from onelip.experiments.preparation import Experiment, build_model, prepare


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return prepare(load_config("digits", ["trainer.threads=1"]))


def test_the_experiment_holds_out_validation_images_and_never_the_test_split(experiment):
    images = experiment.data
    assert len(experiment.train) + len(experiment.validation) == len(images.train)
    assert len(experiment.validation) == pytest.approx(
        experiment.config.data.validation * len(images.train), abs=images.n_classes
    )


def test_the_weights_depend_on_the_seed_alone(experiment):
    torch.rand(5)
    again = build_model(experiment.config, experiment.data).state_dict()
    other = build_model(load_config("digits", ["seed=1"]), experiment.data).state_dict()
    first = experiment.model.state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def test_the_mean_training_pixel_is_subtracted_if_asked_for(experiment):
    mean = experiment.train.pixels().mean()
    assert float(experiment.model.normalize.mean) == pytest.approx(float(mean), rel=0.02)
    assert torch.equal(experiment.model.normalize.std, torch.ones(1))
    bare = build_model(load_config("digits", ["data.normalize=none"]), experiment.data)
    assert not hasattr(bare, "normalize")


def test_pixels_are_standardised_if_asked_for(experiment):
    model = build_model(load_config("digits", ["data.normalize=standardize"]), experiment.data)
    pixels = experiment.data.train.pixels()
    assert float(model.normalize.mean) == pytest.approx(float(pixels.mean()), rel=1e-5)
    assert float(model.normalize.std) == pytest.approx(float(pixels.std(correction=0)), rel=1e-5)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("model=convnet-xs", r"\(1, 8, 8\)"),
        ("model.widths=3", "widths=3"),
        ("loss.margin=wide", "loss.margin='wide' has the wrong type"),
        ("model={name: pyramid, patch: null}", "model.patch=None has the wrong type; the default is 4"),
        ("loss={name: multi-margin, p: {start: 1, end: 2}}", "loss.p={'start': 1, 'end': 2} has the wrong type"),
        ("loss={name: emma, radius: {start: 1}}", "the ramp of radius in EMMA has no end"),
        ("data.options={size: 3}", "size=3 is not an option of data set 'digits'; its options: none"),
        ("layer_options={max_step: 3}", "max_step=3 is not an option of layer 'bjorck'"),
        ("model.layer_options={rank: free}", "model.layer_options is not an option of a model"),
        ("data.generated={path: nowhere.npz}", "path='nowhere.npz' of generated images is neither"),
        ("model.depth=3", "depth=3 is not an option of model 'mlp'"),
        ("linear=aocc", "linear layer 'aocc' is unknown"),
        (
            "model={name: lconvnet-small, width: 4} layer=svcm trainer.ema={}",
            "trainer.ema does not go with 'network.conv1', SVCMConv2d, which is projected after every 100 steps",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(override, sentence):
    with pytest.raises(UserError, match=sentence):
        prepare(load_config("digits", ["trainer.threads=1", *re.split(r" (?=layer=|trainer\.)", override)]))


def test_an_option_of_the_loss_may_be_a_ramp(tmp_path):
    config = load_config(
        "digits", ["trainer.threads=1", "loss={name: emma, radius: {start: 0.1, end: 0.4, until: 0.5}}"]
    )
    loss = prepare(config).loss
    loss.set_progress(0.25)
    assert loss.radius == pytest.approx(0.25)
    path = tmp_path / "config.yaml"
    path.write_text(dump_config(config), encoding="utf-8")
    assert load_config(str(path)) == config


def test_layers_without_a_constant_in_the_norm_are_named_before_the_training():
    options = ["trainer.threads=1", "layer=sandwich", "certify.norm=linf"]
    with pytest.raises(UserError, match=r"Sandwich1d at .* in the table of known constants in l_inf"):
        prepare(load_config("digits", options))


def test_an_option_whose_default_is_a_name_may_be_null_where_the_model_allows_it():
    model = "model={name: pyramid, patch: 2, widths: [4], depths: [0], dense: [], head: null}"
    changes = ["trainer.threads=1", "layer=aoc", "activation=abs", model]
    network = prepare(load_config("digits", changes)).model
    assert type([m for m in network.modules() if not list(m.children())][-1]).__name__ == "AOCLinear"
