"""Interrupted trainings."""

import pytest

from onelip.experiments import commands, latest_run
from onelip.experiments.errors import CommandFailedError
from onelip.experiments.recorder import read_metrics
from onelip.experiments.wasserstein import training
from onelip.tasks import WassersteinCritic

SMALL = ["model.widths=[8]", "trainer.max_steps=12", "trainer.validate_every=4", "evaluation.n_samples=16"]
SMALL += ["evaluation.n_discrete=0", "evaluation.n_monitor=16", "trainer.accelerator=cpu", "optimizer.lr=0.05"]
NAME = "wasserstein-absolute-value"
KEYS = training.COLUMNS


@pytest.mark.parametrize("optimizer", ["adam", "manifold-adam"])
def test_a_resumed_run_ends_with_the_same_numbers(tmp_path, monkeypatch, optimizer):
    changes = [f"optimizer={optimizer}", *SMALL]
    commands.train(NAME, [*changes, f"runs_dir={tmp_path / 'whole'}"], resume=False)
    step = WassersteinCritic.training_step

    def interrupted(self, batch, batch_idx):
        if int(batch) == 6:
            raise KeyboardInterrupt
        return step(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(WassersteinCritic, "training_step", interrupted)
        with pytest.raises(CommandFailedError, match="continue with: onelip train --resume"):
            commands.train(NAME, [*changes, f"runs_dir={tmp_path / 'cut'}"], resume=False)
    cut = latest_run(NAME, tmp_path / "cut")
    assert len(read_metrics(cut)) == 1
    commands.train(str(cut.path), [], resume=True)
    whole = read_metrics(latest_run(NAME, tmp_path / "whole"))
    assert [[row[k] for k in KEYS] for row in whole] == [[row[k] for k in KEYS] for row in read_metrics(cut)]
