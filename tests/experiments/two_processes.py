"""Trainings that one process does, and two together that are started for nothing else."""

import dataclasses
import gc
import json
import sys
from datetime import timedelta
from pathlib import Path

import torch
from torch import distributed, nn

from onelip.experiments import create_run_folder, load_config
from onelip.experiments.preparation import prepare
from onelip.experiments.process_plan import ProcessPlan
from onelip.experiments.run_folder import RunFolder
from onelip.experiments.training import train
from onelip.layers import BatchCentering, BatchLipNorm

PLAIN = ["layer=plain", "activation=relu", "optimizer=sgd", "optimizer.lr=0.1", "model.widths=[16]"]
ORDINARY = [*PLAIN, "model={name: simple-conv, width: 4}", "certify=null"]
GROWING = "model={name: pyramid, patch: 2, widths: [8], depths: [3], dense: [16]}"

CASES = {
    "on the manifold": ["model.widths=[32]"],
    "a last batch of one image": [*PLAIN, "data.batch_size=1150", "trainer.max_steps=4"],
    "accumulated, clipped, averaged": [
        *PLAIN, "trainer.accumulate=3", "trainer.gradient_clip=0.1", "trainer.ema={decay: 0.9}",
    ],
    "means of classes, Lookahead": [*PLAIN, "loss=hkr-multiclass", "optimizer.lookahead={k: 3, alpha: 0.5}"],
    "a moving average in the loss": [*PLAIN, "loss=soft-hkr"],
    "constants in the loss, schedule-free": [
        "layer=aol", "model.widths=[16]", "loss=emma", "optimizer=schedule-free-adamw", "schedule=constant",
    ],
    "growth": [GROWING, "layer=aoc", "activation=beta-abs", "optimizer=adamw", "trainer.growth=[0.5]"],
    "batch normalisations, clipped": [*ORDINARY, "clipping={method: fastclip, batch_norm: clip, period: 5}"],
    "a penalty": [*ORDINARY, "clipping={method: delattre}"],
    "statistics and dropout": [*ORDINARY],
    "random starts, projections": [
        *PLAIN, "adversarial={radius: 0.3, steps: 2}", "projection={kind: l2, iterations: 1}",
    ],
    "TRADES, norms of Jacobians": [
        *PLAIN, "adversarial={kind: trades, radius: 0.1, steps: 2}", "jacobian={weight: 0.1}",
    ],
    "random projections of Jacobians": [*PLAIN, "jacobian={kind: frobenius, weight: 0.1}"],
    "a relaxation": [*PLAIN, "loss=cross-entropy", "relaxation={radius: {start: 0, end: 0.02}, weight: 0.5}"],
}  # fmt: skip
"""Changes of the configuration `digits`, of whose batches of 91 images one process takes 45 and the other 46."""


def statistics_and_dropout() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, bias=False), nn.BatchNorm2d(8, momentum=None), nn.ReLU(), nn.Dropout2d(0.2),
        BatchCentering(8), nn.Flatten(), nn.Linear(288, 16, bias=False), BatchLipNorm(16), nn.ReLU(),
        nn.Dropout(0.3), nn.Linear(16, 10),
    )  # fmt: skip


def numbers_of(name: str, runs: Path, plan: ProcessPlan) -> dict[str, list[float]]:
    """Train; return the losses of all batches of all epochs, and the sums of the weights at the end."""
    changes = ["trainer.threads=1", "trainer.validate_every=1", "data.validation=0.2", "data.batch_size=91"]
    config = load_config("digits", [*changes, "trainer.max_steps=8", *CASES[name], f"runs_dir={runs}"])
    experiment = prepare(config, plan)
    if name == "statistics and dropout":
        experiment = dataclasses.replace(experiment, model=statistics_and_dropout())
    losses = []
    experiment.loss.register_forward_hook(lambda loss, inputs, value: losses.append(value.item()))
    folder = create_run_folder(config) if plan.first else RunFolder(runs / "nowhere")
    train(experiment, folder, processes=plan)
    sums = [float(value.double().abs().sum()) for value in experiment.model.state_dict().values()]
    return {"losses": losses, "weights": sums, "random": torch.rand(2).tolist()}


def in_two(runs: Path, rank: int, store: distributed.Store) -> dict[str, dict[str, list[float]]]:
    """Do all trainings with another process, one after the other."""
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=2, timeout=timedelta(minutes=2))
    try:
        plan = ProcessPlan(rank=rank, size=2, local_rank=rank, local_size=2)
        return {name: numbers_of(name, runs, plan) for name in CASES}
    finally:
        gc.collect()
        distributed.destroy_process_group()


if __name__ == "__main__":
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    found = in_two(folder, 1, distributed.TCPStore("127.0.0.1", port, 2, False))
    (folder / "second.json").write_text(json.dumps(found))
