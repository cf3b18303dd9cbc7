"""Validation after some epochs only."""

import pytest
from tests.tasks.toy import ToyBatches, linear_model, toy_trainer
from torch.nn.functional import cross_entropy

from onelip.tasks import Classification, ValidationInterval, sgd

# Raised by Lightning 2.6 itself on torch 2.13.
pytestmark = pytest.mark.filterwarnings("ignore:.*treespec, LeafSpec:FutureWarning")


@pytest.mark.parametrize(("interval", "expected"), [(1, [0, 1, 2, 3, 4]), (2, [1, 3, 4]), (3, [2, 4]), (9, [4])])
def test_every_few_epochs_and_the_last_are_validated(interval, expected, tmp_path):
    task = Classification(linear_model(), cross_entropy, optimizer=sgd())
    epochs = []
    task.on_validation_epoch_end = lambda: epochs.append(task.current_epoch)
    toy_trainer(tmp_path, 5, ValidationInterval(interval)).fit(task, ToyBatches(), ToyBatches())
    assert epochs == expected


def test_epochs_without_validation_report_none(tmp_path):
    seen = []
    task = Classification(linear_model(), cross_entropy, optimizer=sgd())
    task.on_train_epoch_end = lambda: seen.append("val_loss" in task.metrics)
    toy_trainer(tmp_path, 4, ValidationInterval(2)).fit(task, ToyBatches(), ToyBatches())
    assert seen == [False, True, False, True]


def test_the_interval_must_be_positive():
    with pytest.raises(ValueError, match="epochs=0 in ValidationInterval must be at least 1"):
        ValidationInterval(0)
