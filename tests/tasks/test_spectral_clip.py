"""FastClip in a Lightning trainer: any module, shape from the first batch, exact resumption, norms in TensorBoard."""

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from onelip.tasks import SpectralClip

# Raised by Lightning 2.6 itself on torch 2.13.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*treespec, LeafSpec:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
]


class Task(pl.LightningModule):
    """A module as a user may write it."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(2 * 9, 2))
        self.validated = []

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, batch_idx):
        return cross_entropy(self(batch[0]), batch[1])

    def validation_step(self, batch, batch_idx):
        self.validated.append(largest_norm(self))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.5, momentum=0.9)


def largest_norm(task):
    conv, dense = task.net[0], task.net[3]
    matrix = torch.autograd.functional.jacobian(lambda x: conv(x[None])[0], torch.zeros(1, 5, 5)).reshape(18, 25)
    return max(float(torch.linalg.matrix_norm(m.detach().double(), 2)) for m in (matrix, dense.weight))


def batches():
    generator = torch.Generator().manual_seed(0)
    return [(torch.randn(4, 1, 5, 5, generator=generator), torch.tensor([0, 1, 0, 1])) for _ in range(4)]


def fit(folder, callback, epochs=2, *, logger=False, accumulate=1, ckpt_path=None):
    task = Task()
    trainer = pl.Trainer(
        max_epochs=epochs, accelerator="cpu", devices=1, callbacks=[callback], logger=logger, log_every_n_steps=1,
        accumulate_grad_batches=accumulate, enable_progress_bar=False, enable_model_summary=False,
        num_sanity_val_steps=1, enable_checkpointing=False, default_root_dir=folder,
    )  # fmt: skip
    loaders = [DataLoader(data, batch_size=None) for data in (batches(), batches()[:1])]
    trainer.fit(task, *loaders, ckpt_path=ckpt_path, weights_only=True)
    trainer.save_checkpoint(folder / "last.ckpt")
    return task


@pytest.mark.parametrize("attribute", [None, "net"])
def test_what_is_validated_and_kept_obeys_and_tensorboard_shows_it(attribute, tmp_path):
    callback = SpectralClip(1.0, period=3, attribute=attribute)
    logger = TensorBoardLogger(save_dir=tmp_path, name="", version="")
    task = fit(tmp_path, callback, logger=logger)
    _, *validated = task.validated
    assert len(validated) == 2
    assert max(validated) <= 1.02
    assert largest_norm(task) <= 1.02

    events = EventAccumulator(str(tmp_path))
    events.Reload()
    prefix = "net." if attribute is None else ""
    for part in (f"{prefix}0", f"{prefix}3"):
        scalars = events.Scalars(f"spectral_norm/{part}")
        assert [scalar.step for scalar in scalars] == [3, 4, 6, 8]
        assert max(scalar.value for scalar in scalars) <= 1.02


def test_unclipped_it_would_not_obey(tmp_path):
    assert largest_norm(fit(tmp_path, SpectralClip(1.0, delay=100))) > 1.1


def test_optimiser_steps_are_counted(tmp_path):
    callback = SpectralClip(1.0, period=3, event="published")
    fit(tmp_path, callback, accumulate=2)
    assert callback.method.state_dict()["count"] == 4
    assert callback.method.state_dict()["clipped_at"] == 3


def test_an_interrupted_training_goes_on_to_the_same_bits(tmp_path):
    whole = fit(tmp_path, SpectralClip(1.0, period=3), 3)
    fit(tmp_path, SpectralClip(1.0, period=3), 1)
    resumed = fit(tmp_path, SpectralClip(1.0, period=3), 3, ckpt_path=tmp_path / "last.ckpt")
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_wrong_arguments_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"max_norm=0\.0 in SpectralClipper"):
        SpectralClip(0.0)
    with pytest.raises(ValueError, match="attribute='model' is no module of Task"):
        SpectralClip(attribute="model").on_train_batch_start(None, Task(), batches()[0], 0)
    with pytest.raises(ValueError, match="input_shape=None in SpectralClip: the batch is dict"):
        SpectralClip().on_train_batch_start(None, Task(), {}, 0)
