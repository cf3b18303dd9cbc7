"""Trainings that end after a time: with a clock that ticks once a batch, everything is known in advance."""

from types import SimpleNamespace

import lightning.pytorch as pl
import pytest
from tests.tasks.toy import ToyBatches, linear_model, toy_trainer
from torch.nn.functional import cross_entropy

from onelip.tasks import Classification, TrainingClock, ValidationInterval, cosine, sgd

# Raised by Lightning 2.6 itself on torch 2.13.
pytestmark = pytest.mark.filterwarnings("ignore:.*treespec, LeafSpec:FutureWarning")


class Ticks(pl.Callback):
    """Time that passes by a second in each batch of training, and by a hundred in each validation."""

    def __init__(self):
        self.time = 0.0
        self.rates = []
        self.validated_at = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])
        self.time += 1.0

    def on_validation_batch_end(self, trainer, pl_module, *_):
        self.time += 100.0

    def on_validation_end(self, trainer, pl_module):
        self.validated_at.append(trainer.global_step)

    def on_train_epoch_end(self, trainer, pl_module):
        self.time += 1000.0


def fit(folder, minutes, *, accumulate=1, validate_every=1, **options):
    ticks = Ticks()
    clock = TrainingClock(minutes, now=lambda: ticks.time)
    task = Classification(linear_model(), cross_entropy, optimizer=sgd(lr=0.5), clock=clock, **options)
    trainer = toy_trainer(folder, -1, ticks, clock, ValidationInterval(validate_every), accumulate=accumulate)
    trainer.fit(task, ToyBatches(), ToyBatches())
    return ticks, clock, trainer, task


def test_the_training_ends_with_its_time_and_is_validated(tmp_path):
    ticks, clock, trainer, task = fit(tmp_path, 6 / 60)
    assert trainer.global_step == 6
    assert clock.seconds == 6.0
    assert ticks.validated_at == [4, 6]
    assert {"train_loss", "val_loss", "learning_rate"} <= set(task.metrics)


def test_the_learning_rate_follows_the_time(tmp_path):
    ticks, *_ = fit(tmp_path, 6 / 60, schedule=cosine())
    assert ticks.rates == pytest.approx([0.5 * cosine()(second / 6) for second in range(6)])


def test_it_ends_after_a_whole_step_and_at_most_one_step_late(tmp_path):
    _, clock, trainer, _ = fit(tmp_path, 2.5 / 60, accumulate=2)
    assert trainer.global_step == 2
    assert clock.seconds == 4.0


def test_only_some_epochs_are_validated_but_always_the_last(tmp_path):
    assert fit(tmp_path, 14 / 60, validate_every=2)[0].validated_at == [8, 14]


def test_the_time_is_part_of_the_state(tmp_path):
    _, clock, *_ = fit(tmp_path, 6 / 60)
    again = TrainingClock(12 / 60)
    again.load_state_dict(clock.state_dict())
    assert again.seconds == 6.0
    assert again.progress == 0.5
    assert TrainingClock().progress is None


@pytest.mark.parametrize("minutes", [0.0, -1.0, float("nan"), float("inf")])
def test_the_time_must_be_positive(minutes):
    with pytest.raises(ValueError, match=f"max_minutes={minutes} in TrainingClock"):
        TrainingClock(minutes)


def test_several_processes_go_by_the_time_of_the_first():
    time = [0.0]
    clock = TrainingClock(1.0, now=lambda: time[0])
    first = [6.0]
    trainer = SimpleNamespace(world_size=2, strategy=SimpleNamespace(broadcast=lambda own: first[0]), should_stop=False)
    clock.on_train_batch_start(trainer, None, None, 0)
    time[0] = 50.0
    # Not this process's time, and the same until all ask again.
    assert clock.progress == 0.1
    clock.after_step(trainer, None)
    assert not trainer.should_stop
    first[0] = 60.0
    clock.after_step(trainer, None)
    assert trainer.should_stop
