"""What a training step minimises, and that a validation is without it."""

import pytest
import torch
from tests.tasks.toy import ToyBatches, linear_model, toy_trainer
from torch.nn.functional import cross_entropy

from onelip.tasks import Classification, adamw, sgd
from onelip.tasks.objective import ordinary, tell

# Raised by Lightning 2.6 itself on torch 2.13.
pytestmark = pytest.mark.filterwarnings("ignore:.*treespec, LeafSpec:FutureWarning")


class Noted:
    """The loss at the images moved by 1, with notes of all that it is told and given."""

    def __init__(self):
        self.images, self.places, self.progress, self.modes = [], [], [], []

    def set_progress(self, progress):
        self.progress.append(progress)

    def set_batch(self, epoch, batch, piece):
        assert piece is None
        self.places.append((epoch, batch))

    def __call__(self, model, images, labels, loss):
        self.images.append(images)
        self.modes.append(model.training)
        logits = model(images + 1)
        return 2 * loss(logits, labels), logits


class SeenInputs(torch.nn.Module):
    """A model that keeps what it is given in eval mode."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.seen = inner, []

    def forward(self, x):
        if not self.training:
            self.seen.append(x.clone())
        return self.inner(x)


def test_it_is_what_a_step_minimises(tmp_path):
    objective = Noted()
    task = Classification(linear_model(), cross_entropy, optimizer=sgd(lr=0.5, momentum=0.0), objective=objective)
    batches = ToyBatches(16, 16)
    toy_trainer(tmp_path, 1).fit(task, batches, batches)
    batches.set_epoch(0)
    ((x, y),) = list(batches)
    expected = linear_model()
    loss = 2 * cross_entropy(expected(x + 1), y)
    loss.backward()
    for mine, other in zip(task.model.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(mine.detach(), other.detach() - 0.5 * other.grad)
    assert task.metrics["train_loss"] == pytest.approx(float(loss.detach()), rel=1e-6)
    assert task.metrics["train_accuracy"] == float((linear_model()(x + 1).argmax(1) == y).float().mean())


def test_a_validation_sees_the_images_untouched_and_is_without_it(tmp_path):
    objective, model, validation = Noted(), SeenInputs(linear_model()), ToyBatches(32, 32)
    task = Classification(model, cross_entropy, optimizer=adamw(), objective=objective, radius=None)
    trainer = toy_trainer(tmp_path, 2)
    trainer.fit(task, ToyBatches(), validation)
    validation.set_epoch(0)
    ((x, y),) = list(validation)
    assert len(model.seen) == 2
    assert all(torch.equal(seen, x) for seen in model.seen)
    assert task.metrics["val_loss"] == pytest.approx(float(cross_entropy(model.inner(x), y).detach()), rel=1e-6)
    assert len(objective.images) == 2 * len(ToyBatches())
    assert all(objective.modes)


def test_it_is_told_where_the_training_is(tmp_path):
    objective = Noted()
    task = Classification(linear_model(), cross_entropy, optimizer=adamw(), objective=objective)
    toy_trainer(tmp_path, 2).fit(task, ToyBatches(), ToyBatches())
    assert objective.places == [(epoch, batch) for epoch in range(2) for batch in range(4)]
    assert objective.progress == [step / 8 for step in range(8)]


def test_ordinary_is_the_loss_of_the_images():
    x, y, model = ToyBatches().x, ToyBatches().y, linear_model()
    loss, logits = ordinary(model, x, y, cross_entropy)
    assert torch.equal(logits, model(x))
    assert torch.equal(loss, cross_entropy(model(x), y))
    tell(ordinary, 0.5, 1, 2)


def test_compiling_is_refused():
    with pytest.raises(ValueError, match="compile=True in Classification does not go with an objective"):
        Classification(linear_model(), cross_entropy, optimizer=sgd(), compile=True, objective=Noted())
