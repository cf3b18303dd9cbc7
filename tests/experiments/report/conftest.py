"""A whole run of a small classifier of digits, made once and copied for each test that changes it."""

import csv
import shutil

import pytest
import torch

from onelip.experiments import RunFolder, dump_config, load_config
from onelip.experiments.config import Attack
from onelip.experiments.evaluation import attack_certified, certify_best, write_results
from onelip.experiments.preparation import prepare
from onelip.experiments.recorder import COLUMNS
from onelip.experiments.report.evidence import Evidence, evidence_of_run
from onelip.experiments.report.record import read_run


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> RunFolder:
    torch.manual_seed(0)
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "digits" / "20260102-030405")
    (folder.path / "checkpoints").mkdir(parents=True)
    overrides = [
        "trainer.threads=1",
        "layer=bjorck",
        "model={name: mlp, widths: [32, 32]}",
        "certify.radii=[0.25, 0.5]",
        "certify.weights=best",
    ]
    config = load_config("digits", overrides)
    folder.config_file.write_text(dump_config(config))
    experiment = prepare(config)
    optimizer = torch.optim.Adam(experiment.model.parameters(), 2e-2)
    for k in range(30):
        part = slice(40 * k % 1200, 40 * k % 1200 + 40)
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(
            20 * experiment.model(experiment.train.pixels(part)), experiment.train.labels[part]
        )
        loss.backward()
        optimizer.step()
    torch.save({"epoch": 3, "state_dict": experiment.model.state_dict()}, folder.best_checkpoint)
    rows = [(k, 1.0 / (k + 1), 0.8, 0.9 / (k + 1), 0.7 + k / 50, 0.5 + k / 50, 1e-3, 0.5, k / 100) for k in range(4)]
    with folder.metrics_file.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    certified = certify_best(experiment, folder)
    attack = Attack(radii=(0.25, 0.5), steps=4, restarts=1, samples=40)
    attack_certified(certified, attack, 0, folder)
    write_results(experiment, folder, certified)
    return folder


@pytest.fixture(scope="session")
def evidence(finished) -> Evidence:
    """What its page shows of the network, measured once."""
    return evidence_of_run(read_run(finished.path))


@pytest.fixture
def run(finished, tmp_path) -> RunFolder:
    """A copy that a test may change."""
    return RunFolder(shutil.copytree(finished.path, tmp_path / "digits" / finished.path.name))
