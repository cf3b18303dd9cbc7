"""The classification task under an ordinary Lightning trainer, without the command line."""

import lightning.pytorch as pl
import pytest
import torch
from tests.tasks.toy import ToyBatches, linear_model, toy_trainer
from torch import nn
from torch.nn.functional import cross_entropy

from onelip.bounds import UnknownLipschitzConstant
from onelip.tasks import Classification, NonFiniteLossError, adamw, cosine, schedule_free_adamw, sgd

# Raised by Lightning 2.6 itself on torch 2.13.
pytestmark = pytest.mark.filterwarnings("ignore:.*treespec, LeafSpec:FutureWarning")


class Watch(pl.Callback):
    """Note the learning rate of each step."""

    def __init__(self):
        self.rates = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])


def test_training_lowers_the_loss_and_measures_on_the_validation_data(tmp_path):
    task = Classification(linear_model(), cross_entropy, optimizer=adamw(lr=0.1), radius=0.1)
    first = cross_entropy(linear_model()(ToyBatches().x), ToyBatches().y).item()
    toy_trainer(tmp_path, 5).fit(task, ToyBatches(), ToyBatches())
    x, y = ToyBatches().x, ToyBatches().y
    with torch.no_grad():
        logits = task.model(x)
    assert task.metrics["val_loss"] == pytest.approx(float(cross_entropy(logits, y)), rel=1e-5)
    assert task.metrics["val_loss"] < first
    assert task.metrics["val_accuracy"] == float((logits.argmax(1) == y).float().mean())
    assert task.metrics["train_loss"] > task.metrics["val_loss"]


def test_validation_certified_accuracy_uses_the_proved_constant(tmp_path):
    radius = 0.3
    task = Classification(linear_model(), cross_entropy, optimizer=adamw(lr=0.1), radius=radius)
    toy_trainer(tmp_path, 3).fit(task, ToyBatches(), ToyBatches())
    # For a linear classifier the distance to the boundary has a closed form.
    x, y, weight = ToyBatches().x, ToyBatches().y, task.model[0].weight.detach()
    margin = task.model(x).detach()
    gap = margin.gather(1, y[:, None])[:, 0] - margin.gather(1, 1 - y[:, None])[:, 0]
    exact = gap / (weight[0] - weight[1]).norm()
    measured = task.metrics["val_certified_accuracy"]
    assert 0 < measured <= float((exact > radius).float().mean())


def test_the_loader_is_told_each_epoch(tmp_path):
    loader = ToyBatches()
    task = Classification(linear_model(), cross_entropy, optimizer=sgd())
    toy_trainer(tmp_path, 3).fit(task, loader, ToyBatches())
    assert loader.epochs_seen == [0, 1, 2]


def test_the_schedule_runs_per_step(tmp_path):
    watch = Watch()
    task = Classification(linear_model(), cross_entropy, optimizer=sgd(lr=0.5), schedule=cosine())
    toy_trainer(tmp_path, 2, watch).fit(task, ToyBatches(), ToyBatches())
    assert watch.rates == pytest.approx([0.5 * cosine()(step / 8) for step in range(8)])


@pytest.mark.parametrize("where", ["training", "validation"])
def test_a_loss_that_is_not_finite_names_the_place(where, tmp_path):
    bad, good = ToyBatches(), ToyBatches()
    bad.x[:] = float("nan")
    loaders = (bad, good) if where == "training" else (good, bad)
    task = Classification(linear_model(), cross_entropy, optimizer=sgd())
    expected = "epoch 0, batch 0" if where == "training" else "epoch 0, validation"
    before = task.model[0].weight.detach().clone()
    with pytest.raises(NonFiniteLossError, match=expected):
        toy_trainer(tmp_path, 2).fit(task, *loaders)
    if where == "training":
        assert torch.equal(task.model[0].weight, before)


class ModeCheck(pl.Callback):
    """Note whether a schedule-free optimiser shows its evaluation weights."""

    def __init__(self):
        self.modes = {}

    def _note(self, place, trainer):
        self.modes.setdefault(place, set()).add(trainer.optimizers[0].param_groups[0]["train_mode"])

    def on_train_batch_end(self, trainer, *_):
        self._note("training", trainer)

    def on_validation_batch_end(self, trainer, *_):
        self._note("validation", trainer)

    def on_validation_end(self, trainer, pl_module):
        self._note("selection", trainer)

    def on_train_epoch_end(self, trainer, pl_module):
        self._note("epoch end", trainer)


def test_schedule_free_weights_are_switched_for_evaluation(tmp_path):
    check = ModeCheck()
    task = Classification(linear_model(), cross_entropy, optimizer=schedule_free_adamw(lr=0.1))
    trainer = toy_trainer(tmp_path, 2, check)
    trainer.fit(task, ToyBatches(), ToyBatches())
    assert check.modes == {"training": {True}, "validation": {False}, "selection": {False}, "epoch end": {True}}
    assert trainer.optimizers[0].param_groups[0]["train_mode"] is False


def test_compiling_neither_doubles_nor_renames_the_state():
    plain = Classification(linear_model(), cross_entropy, optimizer=sgd())
    compiled = Classification(linear_model(), cross_entropy, optimizer=sgd(), compile=True)
    assert list(plain.state_dict()) == list(compiled.state_dict()) == ["model.0.weight", "model.0.bias"]


def test_radius_must_be_positive():
    with pytest.raises(ValueError, match=r"radius=0\.0"):
        Classification(linear_model(), nn.CrossEntropyLoss(), optimizer=sgd(), radius=0.0)


class Square(nn.Module):
    """Has no Lipschitz constant."""

    def forward(self, x):
        return x * x


def test_without_a_radius_no_constant_is_asked_for(tmp_path):
    def task(**options):
        model = nn.Sequential(nn.Linear(2, 4), Square(), nn.Linear(4, 2))
        return Classification(model, cross_entropy, optimizer=adamw(lr=0.1), **options)

    with pytest.raises(UnknownLipschitzConstant):
        toy_trainer(tmp_path, 1).fit(task(), ToyBatches(), ToyBatches())
    ordinary = task(radius=None)
    toy_trainer(tmp_path, 2).fit(ordinary, ToyBatches(), ToyBatches())
    assert set(ordinary.metrics) == {"train_loss", "train_accuracy", "learning_rate", "val_loss", "val_accuracy"}


def test_the_penalty_is_learned_from_and_not_reported(tmp_path):
    """A penalty that outweighs the data draws the weights to zero; the losses stay those of the data."""
    model = linear_model()
    task = Classification(
        model, cross_entropy, optimizer=adamw(lr=0.05), penalty=lambda: 1e3 * model[0].weight.square().sum()
    )
    toy_trainer(tmp_path, 20).fit(task, ToyBatches(), ToyBatches())
    assert float(model[0].weight.detach().abs().max()) < 0.02
    assert task.metrics["val_loss"] == pytest.approx(0.693, abs=0.01)
    assert task.metrics["train_loss"] == pytest.approx(0.693, abs=0.01)


def test_a_method_without_a_penalty_changes_nothing(tmp_path):
    weights = []
    for penalty in (None, lambda: None):
        task = Classification(linear_model(), cross_entropy, optimizer=sgd(), penalty=penalty)
        toy_trainer(tmp_path, 1).fit(task, ToyBatches(), ToyBatches())
        weights.append(task.model[0].weight.detach())
    assert torch.equal(*weights)
