"""Data and networks of GANs from configurations."""

import numpy as np
import pytest
import torch
from PIL import Image
from tests.experiments.gan.small import small_config
from torch import nn

from onelip.experiments import UserError
from onelip.experiments.config_gan import Lipschitz
from onelip.experiments.gan import preparation
from onelip.experiments.gan.preparation import build_critic, prepare, resized
from onelip.gan import ClippedObjective, LipschitzObjective, PenaltyObjective


@pytest.mark.parametrize(
    ("critic", "objective", "layers"),
    [
        ("critic=lipschitz", LipschitzObjective(), {"BjorckLinear", "MaxMin"}),
        ("critic={name: wgan, clip: 0.2}", ClippedObjective(0.2), {"Linear", "LeakyReLU"}),
        ("critic={name: wgan-gp, weight: 3, activation: relu}", PenaltyObjective(3.0), {"Linear", "ReLU"}),
    ],
)
def test_kinds_have_their_layers_and_objectives(tmp_path, critic, objective, layers):
    experiment = prepare(small_config(tmp_path, critic))
    assert experiment.task.objective == objective
    assert {type(m).__name__ for m in experiment.task.critic.children()} == {"Flatten", *layers}
    assert experiment.task.critic.training
    assert experiment.task.generator.training


def test_the_configuration_arrives(tmp_path):
    config = small_config(tmp_path, "seed=5", "average=0.3", "trainer.gradient_clip=2.5")
    task = prepare(config).task
    assert (task.seed, task.critic_steps, task.latent.size, task.n_statistics) == (5, 2, 3, 64)
    assert (task._average, task._gradient_clip) == (0.3, 2.5)
    critic, generator = task.configure_optimizers()
    assert [group["lr"] for group in critic.param_groups] == [config.critic.optimizer.lr]
    assert [group["lr"] for group in generator.param_groups] == [config.optimizer.lr]
    assert len(generator.param_groups[0]["params"]) == len([*task.generator.parameters()])


def test_the_seed_decides_the_weights_and_threads_are_recorded(tmp_path):
    states = [prepare(small_config(tmp_path, f"seed={seed}")).task.state_dict() for seed in (0, 0, 1)]
    assert all(torch.equal(a, b) for a, b in zip(states[0].values(), states[1].values(), strict=True))
    assert not torch.equal(states[0]["generator.dense1.weight"], states[2]["generator.dense1.weight"])
    free = small_config(tmp_path).model_copy(
        update={"trainer": small_config(tmp_path).trainer.model_copy(update={"threads": None})}
    )
    assert prepare(free).config.trainer.threads == torch.get_num_threads()


def test_images_of_either_split_are_spread_evenly(tmp_path):
    experiment = prepare(small_config(tmp_path))
    chosen = experiment.real("test", 30)
    assert chosen.shape == (30, 1, 8, 8)
    everything = experiment.data.test.pixels()
    assert torch.equal(chosen[1], everything[len(everything) // 30])
    assert len(experiment.real("train", 10**6)) == len(experiment.data.train)


def test_images_are_brought_to_the_size_that_is_asked_for(tmp_path):
    experiment = prepare(small_config(tmp_path, "data.size=4", "critic.model={name: mlp, widths: [4]}"))
    assert experiment.data.input_shape == (1, 4, 4)
    assert experiment.task.generator.eval()(torch.rand(2, 3)).shape == (2, 1, 4, 4)
    images = prepare(small_config(tmp_path)).data.test.subset(slice(0, 3))
    half = resized(images, 4).pixels()
    filtered = nn.functional.interpolate(images.pixels(), (4, 4), mode="bilinear", antialias=True)
    assert float((half - filtered).abs().max()) <= 0.5 / 255 + 1e-6
    assert prepare(small_config(tmp_path, "data.size=8")).data.train.scale == 16


def test_folders_of_image_files_are_read(tmp_path):
    rng = np.random.default_rng(0)
    for part, n in (("train", 4), ("test", 3)):
        (tmp_path / part / "bedroom").mkdir(parents=True)
        for k in range(n):
            pixels = rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / part / "bedroom" / f"{k}.png")
    options = ("critic.model={name: dcgan-critic, width: 2}", "generator={name: dcgan, width: 2}")
    where = (f"data.dir={tmp_path}", "data.options={size: 16, resize: 16}")
    experiment = prepare(small_config(tmp_path, "seed=0", *options, *where, name="gan-lsun"))
    assert experiment.data.input_shape == (3, 16, 16)
    assert experiment.real("test", 9).shape == (3, 3, 16, 16)


def test_batch_normalisations_in_critics_are_refused():
    section = Lipschitz(name="lipschitz", model={"name": "simple-conv", "width": 2}, layer="aoc")
    with pytest.raises(ValueError, match=r"critic.model=simple-conv normalises batches in '.*', which no critic may"):
        build_critic(section, (3, 8, 8))


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("generator=dcgam", "generator 'dcgam' is unknown"),
        ("data.size=6", "image_shape"),
        ("critic.model={name: mpl}", "model 'mpl' is unknown"),
        ("critic.layer=bjork", "layer 'bjork' is unknown"),
        ("data.options={fold: 1}", "fold=1"),
    ],
)
def test_mistakes_are_one_sentence(tmp_path, override, sentence):
    with pytest.raises(UserError, match=sentence):
        prepare(small_config(tmp_path, "seed=0", override))


def test_a_split_with_one_image_is_refused(tmp_path, monkeypatch):
    from dataclasses import replace

    images = prepare(small_config(tmp_path)).data
    short = replace(images, test=images.test.subset(slice(0, 1)))
    monkeypatch.setattr(preparation.data, "load", lambda *args, **options: short)
    with pytest.raises(UserError, match="data=digits has 1 images in a split"):
        prepare(small_config(tmp_path))
