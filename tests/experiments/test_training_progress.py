"""Progress of a training goes to standard error, and is short where that is no terminal."""

import pytest
from tests.tasks.toy import ToyBatches, linear_model, toy_trainer
from torch.nn.functional import cross_entropy

from onelip.experiments.training_progress import TrainingProgress
from onelip.tasks import Classification, TrainingClock, sgd

# Raised by Lightning 2.6 itself on torch 2.13.
pytestmark = pytest.mark.filterwarnings("ignore:.*treespec, LeafSpec:FutureWarning")


def test_training_writes_about_ten_lines_where_there_is_no_terminal(tmp_path, capsys):
    task = Classification(linear_model(), cross_entropy, optimizer=sgd())
    toy_trainer(tmp_path, 25, TrainingProgress(TrainingClock())).fit(task, ToyBatches(), ToyBatches())
    output, errors = capsys.readouterr()
    lines = [line for line in errors.splitlines() if line.startswith("epoch")]
    assert output == ""
    assert 10 <= len(lines) <= 14
    assert lines[-1].startswith("epoch 25/25")
    loss = f"loss {task.metrics['train_loss']:.4f}"
    assert loss in lines[-1]
    assert f"{task.metrics['val_accuracy']:.2%}" in lines[-1]


def test_a_network_without_a_constant_has_no_certified_share(tmp_path, capsys):
    task = Classification(linear_model(), cross_entropy, optimizer=sgd(), radius=None)
    toy_trainer(tmp_path, 1, TrainingProgress(TrainingClock())).fit(task, ToyBatches(), ToyBatches())
    assert "certified" not in capsys.readouterr().err
