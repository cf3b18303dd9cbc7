"""Training of a generator against a critic: kinds, steps, averages, exact continuation."""

from __future__ import annotations

import copy

import pytest
import torch
from tests.tasks.toy import toy_trainer
from torch import nn

from onelip import lipschitz_bound, models
from onelip.gan import (
    ClippedObjective,
    GeneratorSampler,
    Latent,
    LipschitzObjective,
    PenaltyObjective,
    build_generator,
    gradient_penalty,
    interpolates,
)
from onelip.tasks import GAN, NonFiniteError, Retract, adam, sgd
from onelip.transport import sample_generator

pytestmark = pytest.mark.filterwarnings("ignore:.*treespec, LeafSpec:FutureWarning")

LATENT = Latent(3)
DATA = torch.rand(12, 1, 8, 8, generator=torch.Generator().manual_seed(4)) * 0.2


def networks(layer="bjorck", activation="maxmin"):
    torch.manual_seed(0)
    generator = build_generator("infogan", image_shape=(1, 8, 8), n_latent=3, dense=8, width=2)
    options = {"layer": layer, "activation": activation, "widths": [8]}
    return generator, models.build("mlp", input_shape=(1, 8, 8), n_classes=1, **options)


class Loader:
    """Images in batches of four, alone or with labels."""

    def __init__(self, labels: bool = False) -> None:
        self._labels = labels

    def __len__(self) -> int:
        return 3

    def __iter__(self):
        return iter([(b, torch.zeros(len(b))) if self._labels else b for b in DATA.split(4)])


def fit(task, folder, epochs=2, ckpt_path=None, **options):
    trainer = toy_trainer(folder, epochs, Retract(), **options)
    trainer.fit(task, Loader(), ckpt_path=ckpt_path, weights_only=True)
    return trainer


def task(objective=None, layer="bjorck", **options):
    options = {"critic_steps": 2, "latent": LATENT, "generator_optimizer": adam(lr=0.01), **options}
    return GAN(*networks(layer), objective=objective, **options)


@pytest.mark.parametrize(
    ("objective", "layer"),
    [(LipschitzObjective(), "bjorck"), (ClippedObjective(0.02), "plain"), (PenaltyObjective(10.0), "plain")],
)
def test_every_kind_takes_its_steps(objective, layer, tmp_path):
    gan = task(objective, layer)
    before = copy.deepcopy(gan.state_dict())
    fit(gan, tmp_path)
    assert (int(gan.steps_taken), gan.generator_steps) == (6, 3)
    moved = {name for name, value in gan.state_dict().items() if not torch.equal(value, before[name])}
    assert {"generator.dense1.weight", "averaged.dense1.weight", "generator.norm1.running_mean"} <= moved
    assert any(name.startswith("critic.") for name in moved)
    assert {"critic_loss", "difference", "generator_loss"} <= gan.metrics.keys()
    assert ("penalty" in gan.metrics) == isinstance(objective, PenaltyObjective)
    largest = max(float(p.detach().abs().max()) for p in gan.critic.parameters())
    assert (largest <= 0.02) == isinstance(objective, ClippedObjective)
    if isinstance(objective, LipschitzObjective):
        assert lipschitz_bound(gan.critic.eval(), (1, 8, 8)).value <= 1 + 1e-5


def test_a_step_is_that_of_the_formulas(tmp_path):
    gan = task(PenaltyObjective(10.0), "plain", critic_steps=1, average=0.0, seed=3,
               critic_optimizer=sgd(lr=0.1, momentum=0.0), generator_optimizer=sgd(lr=0.1, momentum=0.0))  # fmt: skip
    by_hand = copy.deepcopy(gan)
    fit(gan, tmp_path, epochs=1, limit_train_batches=1)
    generator, critic = by_hand.generator, by_hand.critic
    real = DATA[:4]
    with torch.no_grad():
        fake = generator(LATENT(4, sample_generator(3, 1, 0)))
    points = interpolates(real, fake, sample_generator(3, 3, 0))
    loss = critic(fake).mean() - critic(real).mean() + 10 * gradient_penalty(critic, points)
    for parameter, gradient in zip(critic.parameters(), torch.autograd.grad(loss, [*critic.parameters()]), strict=True):
        parameter.data -= 0.1 * gradient
    loss = -critic(generator(LATENT(4, sample_generator(3, 2, 0)))).mean()
    weights = [*generator.parameters()]
    for parameter, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
        parameter.data -= 0.1 * gradient
    for found, expected in ((gan.critic, critic), (gan.generator, generator)):
        for a, b in zip(found.parameters(), expected.parameters(), strict=True):
            assert torch.allclose(a, b, atol=1e-6)


def test_labels_are_not_used_and_the_seed_decides(tmp_path):
    def weights(seed, labels):
        gan = task(seed=seed)
        toy_trainer(tmp_path, 1, Retract()).fit(gan, Loader(labels))
        return torch.cat([p.detach().flatten() for p in gan.generator.parameters()])

    assert torch.equal(weights(0, labels=True), weights(0, labels=False))
    assert not torch.equal(weights(0, labels=False), weights(1, labels=False))


def test_a_continued_training_ends_with_the_same_numbers(tmp_path):
    whole, cut, continued = task(average=0.9), task(average=0.9), task(average=0.9)
    fit(whole, tmp_path, epochs=3)
    trainer = fit(cut, tmp_path, epochs=1)
    path = str(tmp_path / "last.ckpt")
    trainer.save_checkpoint(path, weights_only=False)
    torch.manual_seed(99)
    torch.rand(7)
    fit(continued, tmp_path, epochs=3, ckpt_path=path)
    for name, value in whole.state_dict().items():
        assert torch.equal(continued.state_dict()[name], value), name
    assert whole.metrics == continued.metrics


def test_samples_are_those_of_the_average(tmp_path):
    gan = task(average=0.99)
    fit(gan, tmp_path, epochs=4)
    steps = gan.generator_steps
    assert steps == 6
    z = torch.rand(5, 3)
    sampler = gan.sampler()
    assert isinstance(sampler, GeneratorSampler)
    assert not torch.allclose(sampler.images(z), GeneratorSampler(gan.generator, LATENT).images(z), atol=1e-4)
    assert torch.equal(sampler.images(z), gan.sampler().images(z))
    plain = task(average=0.0)
    fit(plain, tmp_path, epochs=4)
    for mean, weight in zip(plain.averaged.parameters(), plain.generator.parameters(), strict=True):
        assert torch.equal(mean, weight)


def test_statistics_are_measured_with_as_many_images_as_asked_for():
    few, many, again = (task(n_statistics=n).sampler().generator.get_submodule("norm1") for n in (10, 1000, 1000))
    assert not torch.equal(few.running_mean, many.running_mean)
    assert torch.equal(again.running_mean, many.running_mean)


def test_the_average_follows_the_formula(tmp_path):
    gan = task(average=0.5, critic_steps=1)
    first = [p.detach().clone() for p in gan.generator.parameters()]
    fit(gan, tmp_path, epochs=1, limit_train_batches=1)
    # Weight of the past in the first step: min(0.5, 1 / 10).
    for old, new, mean in zip(first, gan.generator.parameters(), gan.averaged.parameters(), strict=True):
        assert torch.allclose(mean, 0.1 * old + 0.9 * new.detach(), atol=1e-6)


def test_gradients_are_clipped(tmp_path):
    free = task(critic_steps=1, critic_optimizer=sgd(lr=1.0, momentum=0.0), layer="plain")
    tight = task(critic_steps=1, critic_optimizer=sgd(lr=1.0, momentum=0.0), layer="plain", gradient_clip=1e-3)
    before = [p.detach().clone() for p in tight.critic.parameters()]
    moved = []
    for gan in (free, tight):
        fit(gan, tmp_path, epochs=1, limit_train_batches=1)
        pairs = zip(before, gan.critic.parameters(), strict=True)
        moved.append(float(sum((a - b.detach()).square().sum() for a, b in pairs)) ** 0.5)
    assert moved[1] == pytest.approx(1e-3, rel=1e-3)
    assert moved[0] > 1e-2


def test_numbers_that_are_not_finite_stop_it(tmp_path):
    gan = task(critic_steps=1, critic_optimizer=sgd(lr=1e38, momentum=0.0), layer="plain")
    with pytest.raises(NonFiniteError, match="in epoch 0, batch"):
        fit(gan, tmp_path)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"critic_steps": 0}, "critic_steps=0 in GAN must be an integer >= 1"),
        ({"average": 1.0}, "average=1.0 in GAN must be at least 0 and below 1"),
        ({"gradient_clip": 0.0}, "gradient_clip=0.0 in GAN must be positive"),
        ({"n_statistics": 1}, "n_statistics=1 in GAN"),
        ({"seed": -1}, "seed=-1 in GAN"),
    ],
)
def test_mistakes_are_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        task(**options)


def test_modes_that_were_left_are_set_right(tmp_path):
    gan = task()
    gan.generator.eval()
    before = gan.generator.get_submodule("norm1").running_mean.clone()
    with pytest.warns(UserWarning, match="eval mode"):
        fit(gan, tmp_path, epochs=1)
    assert isinstance(gan.generator.get_submodule("norm1"), nn.BatchNorm1d)
    assert not torch.equal(gan.generator.get_submodule("norm1").running_mean, before)
