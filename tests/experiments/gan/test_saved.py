"""Generators from run folders."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.experiments.gan.small import small_config

from onelip.experiments import create_run_folder, load_config
from onelip.experiments.errors import UserError
from onelip.experiments.gan import load_generator
from onelip.experiments.gan.preparation import prepare
from onelip.experiments.gan.saved import GENERATOR_FILE, save_network


@pytest.fixture
def kept(tmp_path):
    config = small_config(tmp_path, "latent={size: 3, law: normal}")
    experiment, folder = prepare(config), create_run_folder(config)
    sampler = experiment.task.sampler()
    save_network(sampler.generator, folder.path / GENERATOR_FILE, experiment.data.input_shape)
    return sampler, folder


def test_the_same_images_come_back(kept):
    sampler, folder = kept
    state = torch.get_rng_state()
    loaded = load_generator(folder.path)
    assert torch.equal(torch.get_rng_state(), state)
    assert loaded.shape == (1, 8, 8)
    assert loaded.latent == sampler.latent
    images = loaded(20, torch.Generator().manual_seed(3))
    assert torch.equal(images, sampler(20, torch.Generator().manual_seed(3)))
    assert not images.requires_grad


def test_runs_without_a_generator_are_named(kept, tmp_path):
    _, folder = kept
    (folder.path / GENERATOR_FILE).unlink()
    with pytest.raises(
        UserError, match=r"generator.safetensors is missing; finish the run with: onelip train --resume"
    ):
        load_generator(folder.path)
    other = create_run_folder(load_config("digits", [f"runs_dir={tmp_path}"]))
    with pytest.raises(UserError, match="is a run of task=classification, and has no generator"):
        load_generator(other.path)
    with pytest.raises(UserError, match="is not the folder of a run"):
        load_generator(tmp_path / "nothing")


@pytest.mark.parametrize("broken", ["cut", "shape", "other"])
def test_files_that_do_not_fit_are_named(kept, broken):
    _, folder = kept
    path = folder.path / GENERATOR_FILE
    if broken == "cut":
        path.write_bytes(path.read_bytes()[:50])
    else:
        state = load_file(path)
        metadata = None if broken == "shape" else {"image_shape": "1,12,12"}
        save_file(state, path, metadata=metadata)
    with pytest.raises(UserError, match=r"generator.safetensors does not hold the generator of .*config.yaml"):
        load_generator(folder.path)
