"""What a training tells: its metric after each epoch that has one, once the epoch is recorded."""

import pytest

from onelip.experiments import create_run_folder, load_config
from onelip.experiments.preparation import prepare
from onelip.experiments.recorder import read_metrics
from onelip.experiments.sweep.reporting import PrunedError, Reporting
from onelip.experiments.training import train

SMALL = ["trainer.threads=1", "trainer.max_epochs=4", "trainer.validate_every=2", "model.widths=[8]", "layer=plain"]


@pytest.fixture
def experiment(tmp_path):
    return prepare(load_config("digits", [f"runs_dir={tmp_path}", *SMALL, "data.batch_size=512"]))


def test_validations_are_reported_with_the_number_of_epochs(experiment):
    folder, told = create_run_folder(experiment.config), []
    train(experiment, folder, callbacks=[Reporting("val_accuracy", lambda *said: told.append((*said, rows(folder))))])
    recorded = [
        (r["epoch"] + 1, r["val_accuracy"], r["epoch"] + 1) for r in read_metrics(folder) if "val_accuracy" in r
    ]
    assert [number for number, *_ in recorded] == [2, 4]
    assert told == recorded


def rows(folder):
    return len(read_metrics(folder))


def test_what_every_epoch_has_is_reported_every_epoch(experiment):
    told = []
    train(
        experiment,
        create_run_folder(experiment.config),
        callbacks=[Reporting("train_loss", lambda epoch, value: told.append(epoch))],
    )
    assert told == [1, 2, 3, 4]


def test_a_training_that_is_behind_ends_after_the_epoch_is_recorded(experiment):
    folder = create_run_folder(experiment.config)
    with pytest.raises(PrunedError, match="pruned after epoch 2") as caught:
        train(experiment, folder, callbacks=[Reporting("val_accuracy", lambda epoch, value: epoch >= 2)])
    assert (caught.value.epoch, rows(folder)) == (2, 2)
    assert caught.value.value == read_metrics(folder)[-1]["val_accuracy"]
    assert folder.last_checkpoint.exists()


def test_a_metric_that_is_not_there_is_not_reported(experiment):
    train(experiment, create_run_folder(experiment.config), callbacks=[Reporting("val_acc", lambda *_: True)])
