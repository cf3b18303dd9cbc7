"""From a configuration to an experiment in memory, and checkpoints that cannot be trusted."""

import pytest
import torch

from onelip.experiments import RunFolder, UserError, load_config
from onelip.experiments.training import Experiment, build_model, load_best_weights, prepare, read_checkpoint


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return prepare(load_config("digits", ["trainer.threads=1"]))


def test_the_experiment_holds_out_validation_images_and_never_the_test_split(experiment):
    images = experiment.data
    assert len(experiment.train) + len(experiment.validation) == len(images.train)
    assert len(experiment.validation) == pytest.approx(0.1 * len(images.train), abs=images.n_classes)


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


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("model=convnet-xs", r"\(1, 8, 8\)"),
        ("model.widths=3", "widths=3"),
        ("loss.margin=wide", "loss.margin='wide' has the wrong type"),
        ("model.depth=3", "depth=3 is not an option of model 'mlp'"),
        ("linear=aocc", "linear layer 'aocc' is unknown"),
    ],
)
def test_what_does_not_fit_together_is_refused(override, sentence):
    with pytest.raises(UserError, match=sentence):
        prepare(load_config("digits", ["trainer.threads=1", override]))


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    (tmp_path / "checkpoints").mkdir()
    return RunFolder(tmp_path)


def test_best_weights_are_loaded(folder, experiment):
    weights = {key: value + 1 for key, value in experiment.model.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": weights}, folder.best_checkpoint)
    model = build_model(experiment.config, experiment.data)
    assert load_best_weights(model, folder) == 3
    assert all(torch.equal(model.state_dict()[key], value) for key, value in weights.items())


def test_weights_of_another_network_are_refused(folder, experiment):
    torch.save({"epoch": 3, "state_dict": {"a": torch.zeros(1)}}, folder.best_checkpoint)
    with pytest.raises(UserError, match="does not hold the weights of this run's network"):
        load_best_weights(build_model(experiment.config, experiment.data), folder)


def test_a_missing_checkpoint_is_named(folder):
    with pytest.raises(UserError, match=r"last\.ckpt is missing"):
        read_checkpoint(folder.last_checkpoint)


def cut(content):
    return content[: len(content) // 2]


def flip_a_bit(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [cut, flip_a_bit, lambda content: b"", lambda content: b"no checkpoint"])
def test_a_damaged_checkpoint_is_refused_in_one_sentence(damage, folder):
    torch.save({"state_dict": {"a": torch.rand(1000)}}, folder.last_checkpoint)
    folder.last_checkpoint.write_bytes(damage(folder.last_checkpoint.read_bytes()))
    with pytest.raises(UserError, match=r"last\.ckpt is not a whole checkpoint"):
        read_checkpoint(folder.last_checkpoint)


class Trap:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("the checkpoint was executed",))


def test_a_checkpoint_cannot_execute_code(folder):
    torch.save({"state_dict": {}, "trap": Trap()}, folder.last_checkpoint)
    with pytest.raises(UserError, match="is not a whole checkpoint"):
        read_checkpoint(folder.last_checkpoint)
