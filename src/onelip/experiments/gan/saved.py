"""The files of networks in the run folder of a GAN, and the way back from them."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from onelip.experiments.config_gan import GanConfig
from onelip.experiments.errors import UserError, as_user_errors
from onelip.experiments.files import atomic_path
from onelip.experiments.run_folder import open_run_folder
from onelip.gan import GeneratorSampler, Latent, build_generator

GENERATOR_FILE, CRITIC_FILE = "generator.safetensors", "critic.safetensors"

_SHAPE = "image_shape"


def save_network(network: nn.Module, path: Path, image_shape: tuple[int, ...]) -> None:
    """Write a network's weights in one step.

    Args:
        network: Any network.
        path: Where.
        image_shape: `(C, H, W)` of an image, kept in the file's metadata.
    """
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    with atomic_path(path) as temporary:
        save_file(state, temporary, metadata={_SHAPE: ",".join(map(str, image_shape))})


def load_generator(run_folder: str | Path) -> GeneratorSampler:
    """Load the generator that a finished run of a GAN has kept.

    Args:
        run_folder: The run's folder, with `config.yaml` and `generator.safetensors`.

    Returns:
        The distribution of its images: the averaged generator in eval mode. Called as `sampler(n, generator)`, it gives
        `(n, C, H, W)` pixels in [0, 1].

    Raises:
        UserError: If there is no such run, it is not finished or of another task, or its files do not fit together.
    """
    folder = open_run_folder(run_folder)
    config = folder.any_config()
    if not isinstance(config, GanConfig):
        raise UserError(f"{run_folder} is a run of task={config.task}, and has no generator; give one of task=gan")
    path = folder.path / GENERATOR_FILE
    if not path.is_file():
        raise UserError(f"{path} is missing; finish the run with: onelip train --resume {folder.path}")
    try:
        with safe_open(path, framework="pt") as file:
            channels, height, width = map(int, (file.metadata() or {}).get(_SHAPE, "").split(","))
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        with torch.random.fork_rng(devices=[]), as_user_errors():
            generator = build_generator(
                config.generator.name,
                image_shape=(channels, height, width),
                n_latent=config.latent.size,
                **config.generator.options,
            )
        generator.to(next(iter(state.values())).dtype).load_state_dict(state)
    except (SafetensorError, ValueError, RuntimeError) as error:
        raise UserError(f"{path} does not hold the generator of {folder.config_file}") from error
    return GeneratorSampler(generator, Latent(config.latent.size, config.latent.law))
