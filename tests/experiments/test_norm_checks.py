"""Norms at the checks of a training are those of a dense SVD, and their file survives a kill."""

import lightning.pytorch as pl
import pytest
import torch
from tests.experiments.test_recorder import new_folder
from tests.tasks.toy import ToyBatches
from torch import nn
from torch.nn.functional import cross_entropy

from onelip.experiments.config import Clipping
from onelip.experiments.norm_checks import NORM_COLUMNS, NormChecks, bounded_parts, keep_steps, read_norms
from onelip.tasks import Classification, sgd

# Raised by Lightning 2.6 itself on torch 2.13.
pytestmark = pytest.mark.filterwarnings("ignore:.*treespec, LeafSpec:FutureWarning")


def network():
    torch.manual_seed(0)
    conv = nn.Sequential(nn.Unflatten(1, (1, 1, 2)), nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU())
    return nn.Sequential(conv, nn.Flatten(), nn.Linear(6, 2))


class Remembering(pl.loggers.logger.DummyLogger):
    def __init__(self):
        super().__init__()
        self.lines = []

    def log_metrics(self, metrics, step=None):
        self.lines += [(step, name, value) for name, value in metrics.items() if name.startswith("measured_norm")]


class Weights(pl.Callback):
    """Keep a copy of the weights after each step."""

    def __init__(self):
        self.after = {}

    def on_train_batch_end(self, trainer, pl_module, *_):
        self.after[trainer.global_step] = {k: v.clone() for k, v in pl_module.model.state_dict().items()}


def fit(folder, **options):
    logger, weights = Remembering(), Weights()
    trainer = pl.Trainer(
        max_epochs=2, accelerator="cpu", devices=1, logger=logger, enable_progress_bar=False, num_sanity_val_steps=0,
        log_every_n_steps=1,
        callbacks=[weights, NormChecks(folder, (2,), Clipping(method="none", **options))],
        enable_model_summary=False, enable_checkpointing=False, default_root_dir=folder.path,
    )  # fmt: skip
    task = Classification(network(), cross_entropy, optimizer=sgd(lr=0.1), radius=None)
    trainer.fit(task, ToyBatches(), ToyBatches())
    return weights.after, logger.lines


def dense_norm(module, shape):
    """The norm of the matrix that a module stands for, column by column."""
    module = module.double().eval()
    n = int(torch.tensor(shape).prod())
    with torch.no_grad():
        images = module(torch.cat([torch.zeros(1, n), torch.eye(n)]).double().reshape(-1, *shape)).flatten(1)
    return float(torch.linalg.matrix_norm(images[1:] - images[:1], 2))


@pytest.mark.parametrize(("every", "steps"), [(None, [4, 8]), (3, [3, 6]), (8, [8])])
def test_each_check_has_the_exact_norms_of_its_step(every, steps, tmp_path):
    folder = new_folder(tmp_path)
    after, lines = fit(folder, check_every=every)
    rows = read_norms(folder)
    assert folder.norms_file.read_text().splitlines()[0] == ",".join(NORM_COLUMNS)
    assert [(r["step"], r["part"], r["kind"], r["input_shape"]) for r in rows] == [
        (step, *part) for step in steps for part in (("0.1", "Conv2d", "1x1x2"), ("2", "Linear", "6"))
    ]
    assert lines == [(r["step"], f"measured_norm/{r['part']}", r["value"]) for r in rows]
    for row in rows:
        model = network()
        model.load_state_dict(after[row["step"]])
        shape = tuple(map(int, row["input_shape"].split("x")))
        assert row["value"] == pytest.approx(dense_norm(model.get_submodule(row["part"]), shape), rel=1e-3)


def test_what_is_bounded_is_what_is_measured():
    model = network()
    with torch.no_grad():
        model[0][2].weight.mul_(3)
        model[0][2].running_var.mul_(0.5)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    names = {mode: [row.name for row in bounded_parts(model, (2,), mode)] for mode in ("keep", "clip", "joint")}
    assert names == {"keep": ["0.1", "2"], "clip": ["0.1", "0.2", "2"], "joint": ["0.1 + 0.2", "2"]}
    values = {row.name: row.largest for mode in names for row in bounded_parts(model, (2,), mode)}
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert model.training
    assert values["0.1 + 0.2"] == pytest.approx(
        dense_norm(nn.Sequential(model[0][1], model[0][2]), (1, 1, 2)), rel=1e-3
    )
    assert values["0.2"] == pytest.approx(3 / (0.5 + 1e-5) ** 0.5, rel=1e-5)


def test_rows_after_the_checkpoint_and_half_rows_are_cut(tmp_path):
    folder = new_folder(tmp_path)
    text = "step,part,kind,input_shape,value\n4,a,Linear,6,0.1234567890123\n8,a,Linear,6,1.5\n12,a,Lin"
    folder.norms_file.write_text(text)
    assert [row["step"] for row in read_norms(folder)] == [4, 8]
    keep_steps(folder, 7)
    assert folder.norms_file.read_text() == "step,part,kind,input_shape,value\n4,a,Linear,6,0.1234567890123\n"
    keep_steps(folder, 3)
    assert not folder.norms_file.exists()
    keep_steps(folder, 3)
