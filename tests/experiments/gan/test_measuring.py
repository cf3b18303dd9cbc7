"""What runs of GANs measure."""

import pytest
import torch
from scipy import optimize
from tests.experiments.gan.small import small_config

from onelip.experiments.gan.measuring import Yardstick, measure
from onelip.experiments.gan.preparation import prepare
from onelip.gan import frechet_of_samples_sq, principal_features


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    return prepare(small_config(tmp_path_factory.mktemp("runs")))


def test_test_images_are_compared_in_features_of_the_training_images(experiment):
    yardstick = Yardstick(experiment)
    features = principal_features(experiment.data.train.pixels(), 4)
    assert torch.allclose(yardstick.features.directions.abs(), features.directions.abs(), atol=1e-6)
    test = experiment.real("test", 40)
    x = torch.rand(30, 1, 8, 8)
    assert yardstick.frechet_sq(x) == pytest.approx(frechet_of_samples_sq(features(x), features(test)), rel=1e-4)
    train = experiment.real("train", 40)
    assert yardstick.train_frechet_sq == pytest.approx(yardstick.frechet_sq(train))
    assert yardstick.train_frechet_sq < yardstick.frechet_sq(x)


def test_latent_numbers_are_those_of_the_seed(experiment):
    first, again = Yardstick(experiment), Yardstick(experiment)
    assert torch.equal(first.compared, again.compared)
    assert torch.equal(first.shown, again.shown)
    assert not torch.equal(first.shown, first.compared[: len(first.shown)])
    assert (len(first.compared), len(first.shown)) == (40, 6)


def test_without_a_known_constant_nothing_is_claimed(experiment, monkeypatch):
    from onelip.experiments.gan import measuring

    monkeypatch.setattr(measuring, "critic_constant", lambda critic, shape: None)
    found = measure(experiment, Yardstick(experiment), experiment.task.sampler())
    assert found["critic_constant"] is None
    assert found["wasserstein1"]["lower_bound"] is None
    assert "lower estimate" in found["critic_gradients"]["kind"]


def test_the_exact_distance_of_as_many_images_is_that_of_an_assignment(experiment):
    yardstick, sampler = Yardstick(experiment), experiment.task.sampler()
    found = measure(experiment, yardstick, sampler)["wasserstein1"]
    costs = torch.cdist(sampler.images(yardstick.compared).flatten(1), yardstick.test.flatten(1)).numpy()
    pairs = optimize.linear_sum_assignment(costs)
    assert found["n_discrete"] == 40
    assert found["discrete"] == pytest.approx(float(costs[pairs].mean()), rel=1e-4)
    # The critic's bound is about distributions, from these very samples it cannot exceed the exact distance.
    assert found["difference"] <= found["discrete"] * 1.0001
    assert 0 < found["discrete_of_training_images"] < found["discrete"]
