"""Checkpoints that are missing, broken or hostile are refused in one sentence."""

import pytest
import torch
from torch import nn

from onelip.experiments import RunFolder, UserError
from onelip.experiments.checkpoints import load_best_weights, load_last_weights, read_checkpoint


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    (tmp_path / "checkpoints").mkdir()
    return RunFolder(tmp_path)


def test_best_weights_are_loaded(folder):
    model = nn.Linear(2, 2)
    weights = {key: value + 1 for key, value in model.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": weights}, folder.best_checkpoint)
    assert load_best_weights(model, folder) == 3
    assert all(torch.equal(model.state_dict()[key], value) for key, value in weights.items())


def test_last_weights_are_those_of_the_network_inside_the_task(folder):
    model = nn.Linear(2, 2)
    weights = {f"model.{key}": value + 1 for key, value in model.state_dict().items()}
    torch.save({"epoch": 5, "state_dict": {**weights, "loss.scale": torch.ones(())}}, folder.last_checkpoint)
    assert load_last_weights(model, folder) == 5
    assert all(torch.equal(value, weights[f"model.{key}"]) for key, value in model.state_dict().items())
    torch.save({"epoch": 5, "state_dict": model.state_dict()}, folder.last_checkpoint)
    with pytest.raises(UserError, match=r"last\.ckpt does not hold the weights"):
        load_last_weights(model, folder)


def test_weights_of_another_network_are_refused(folder):
    torch.save({"epoch": 3, "state_dict": {"a": torch.zeros(1)}}, folder.best_checkpoint)
    with pytest.raises(UserError, match="does not hold the weights of this run's network"):
        load_best_weights(nn.Linear(2, 2), folder)


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
