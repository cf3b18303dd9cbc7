"""What `onelip train` does with a configuration of a GAN."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch

from onelip.data import batches_of
from onelip.experiments.checkpoints import read_checkpoint
from onelip.experiments.console import say
from onelip.experiments.errors import UserError
from onelip.experiments.files import write_json_atomically
from onelip.experiments.gan.measuring import COLUMNS, SampleGrids, Yardstick, measure
from onelip.experiments.gan.page import write_page
from onelip.experiments.gan.preparation import GanExperiment
from onelip.experiments.gan.saved import CRITIC_FILE, GENERATOR_FILE, save_network
from onelip.experiments.machine import machine_in_numbers
from onelip.experiments.recorder import read_metrics
from onelip.experiments.run_folder import RunFolder
from onelip.experiments.step_training import train_on_samples
from onelip.experiments.training import device_of
from onelip.gan import GeneratorSampler
from onelip.layers import to_plain
from onelip.pictures import read_picture, sample_grid, save_animation, save_losses, save_picture

_MOST_FRAMES = 60
"""Pictures in an animation, at most."""


def train(experiment: GanExperiment, folder: RunFolder, callbacks: Sequence[pl.Callback] = ()) -> None:
    """Train, or go on after the last checkpoint in the folder, to the same numbers.

    Args:
        experiment: What to train.
        folder: Where metrics, checkpoints and grids of samples go.
        callbacks: More of them.
    """
    config = experiment.config
    batches = batches_of(
        experiment.data.train,
        min(config.data.batch_size, len(experiment.data.train)),
        shuffle=True,
        seed=config.seed,
        device=device_of(config.trainer.accelerator),
        drop_last=True,
    )

    # A function of the step alone, so that a run that is resumed reads the batches that come next.
    def batch(step: int) -> Any:
        batches.set_epoch(step // len(batches))
        return batches.batch(step % len(batches))

    grids = SampleGrids(Yardstick(experiment), samples_folder(folder))
    train_on_samples(experiment.task, config, folder, columns=COLUMNS, callbacks=[*callbacks, grids], batch=batch)


def evaluate(experiment: GanExperiment, folder: RunFolder) -> None:
    """Write both networks, `results.json`, pictures and the page, and say what came of it.

    Args:
        experiment: The run's experiment.
        folder: The run's folder, with a checkpoint of the end of the training.

    Raises:
        UserError: If the checkpoint does not fit.
    """
    _load_last(experiment, folder)
    task, shape = experiment.task, experiment.data.input_shape
    yardstick, sampler = Yardstick(experiment), task.sampler()
    save_network(sampler.generator, folder.path / GENERATOR_FILE, shape)
    save_network(to_plain(task.critic), folder.path / CRITIC_FILE, shape)
    results = {**_facts(experiment, folder), **measure(experiment, yardstick, sampler)}
    write_json_atomically(folder.results_file, results)
    _draw(folder, sampler, yardstick)
    page = write_page(folder)
    _show(results)
    say(f"samples: {folder.path / 'samples.png'}", f"generator: {folder.path / GENERATOR_FILE}", f"report: {page}")


def samples_folder(folder: RunFolder) -> Path:
    """Say where the grids of samples of a run are.

    Args:
        folder: The run's folder.

    Returns:
        A folder of PNG files, named by the generator's steps.
    """
    return folder.path / "samples"


def _load_last(experiment: GanExperiment, folder: RunFolder) -> None:
    task = experiment.task
    try:
        task.load_state_dict(read_checkpoint(folder.last_checkpoint)["state_dict"])
    except RuntimeError as error:
        raise UserError(f"{folder.last_checkpoint} does not hold the networks of this run") from error
    task.to("cpu", torch.float64 if experiment.config.trainer.precision == 64 else torch.float32)


def _draw(folder: RunFolder, sampler: GeneratorSampler, yardstick: Yardstick) -> None:
    save_picture(sample_grid(sampler.images(yardstick.shown)), folder.path / "samples.png")
    save_picture(sample_grid(yardstick.test[: len(yardstick.shown)]), folder.path / "real.png")
    rows = read_metrics(folder)
    save_losses(rows, folder.path / "losses.png")
    # Grids of a part that was cut off are older than its checkpoint.
    names = [f"{int(row['generator_steps']):07d}.png" for row in rows]
    chosen = names[:: -(-len(names) // _MOST_FRAMES)]
    frames = [path for name in [*chosen, *names[-1:]] if (path := samples_folder(folder) / name).is_file()]
    save_animation([read_picture(path) for path in dict.fromkeys(frames)], folder.path / "evolution.gif")


def _facts(experiment: GanExperiment, folder: RunFolder) -> dict[str, Any]:
    config, rows, task = experiment.config, read_metrics(folder), experiment.task
    return {
        "name": config.name,
        "task": config.task,
        "seed": config.seed,
        "created": datetime.now().astimezone().isoformat(timespec="seconds"),
        "machine": machine_in_numbers(),
        "data": config.data.name,
        "image_shape": list(experiment.data.input_shape),
        "n_train": len(experiment.data.train),
        "split": "test",
        "critic": config.critic.name,
        "critic_model": config.critic.model.name,
        "generator": config.generator.name,
        "n_parameters": {
            "generator": sum(p.numel() for p in task.generator.parameters()),
            "critic": sum(p.numel() for p in task.critic.parameters()),
        },
        "generator_steps": task.generator_steps,
        "critic_steps": int(task.steps_taken),
        "train_seconds": round(sum(row["seconds"] for row in rows), 3),
    }


def _show(results: dict[str, Any]) -> None:
    frechet, distance, constant = results["frechet"], results["wasserstein1"], results["critic_constant"]
    say(
        f"test split; squared Frechet distance {frechet['squared_distance']:.4g} in {frechet['features']} "
        f"({frechet['squared_distance_of_training_images']:.4g} for training images)"
    )
    measured = f"its gradient, measured, is {results['critic_gradients']['largest']:.6g} at most"
    if constant is None:
        say(f"the critic's Lipschitz constant is not known; {measured}")
        return
    say(f"the critic's Lipschitz constant is {constant['value']:.6g} ({constant['kind']}); {measured}")
    if distance["lower_bound"] is not None:
        say(
            f"Wasserstein-1 distance >= {distance['lower_bound']:.4g} with standard error "
            f"{distance['standard_error']:.2g}, in {distance['unit']}"
        )
