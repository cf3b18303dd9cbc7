"""The shipped grid of clipping experiments is what the tool writes, and every cell fits its method."""

import pytest
from tools.clipping_configs import BASES, FOLDER, LEFT_OUT, METHODS, MODES, cells
from torch import nn

from onelip.experiments import available_configs, load_config
from onelip.spectral import training_method


def tiny() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(32, 2))


def test_the_files_are_up_to_date():
    written = {file.stem: file.read_text("utf-8") for file in FOLDER.glob("*.yaml") if file.stem not in BASES}
    assert written == {cell.name: cell.text() for cell in cells()}, (
        "write them: python -m tools.clipping_configs --write"
    )


def test_every_method_in_every_mode_is_there_or_left_out_with_a_reason():
    there = {(cell.method, cell.mode) for cell in cells()}
    assert there.isdisjoint(LEFT_OUT)
    assert there | set(LEFT_OUT) == {(method, mode) for method in METHODS for mode in MODES}
    assert all(cell.name in available_configs() for cell in cells())


@pytest.mark.parametrize("base", BASES)
def test_bases_are_unclipped_and_uncertified(base):
    config = load_config(base)
    assert (config.clipping.method, config.certify, config.layer) == ("none", None, "plain")


def test_a_cell_differs_from_its_base_as_it_says():
    base, cell = load_config("clipping-cifar10-resnet18"), load_config("clipping-cifar10-resnet18-fastclip-nobn")
    assert cell.model.options == {**base.model.options, "batch_norm": False}
    assert (cell.clipping.method, cell.clipping.check_every) == ("fastclip", base.clipping.check_every)
    assert (cell.optimizer, cell.schedule, cell.data, cell.trainer) == (
        base.optimizer, base.schedule, base.data, base.trainer,
    )  # fmt: skip


def test_the_recipes_are_the_published_ones():
    cifar, mnist = load_config("clipping-cifar10-dla-gouk-wbn"), load_config("clipping-mnist-dla-gouk-wbn")
    assert cifar.optimizer.model_dump(exclude={"lookahead"}) == {
        "name": "sgd", "lr": 0.1, "weight_decay": 5e-4, "momentum": 0.9, "nesterov": False,
    }  # fmt: skip
    assert (cifar.trainer.max_epochs, cifar.data.batch_size, cifar.data.augment.flip) == (200, 128, True)
    assert cifar.schedule.milestones == (0.2, 0.4, 0.6, 0.8)
    assert mnist.optimizer.model_dump(exclude={"lookahead"}) == {
        "name": "adam", "lr": 1e-3, "weight_decay": 1e-4, "betas": (0.9, 0.999), "eps": 1e-7,
    }  # fmt: skip
    assert (mnist.trainer.max_epochs, mnist.data.augment.flip, mnist.data.augment.crop) == (120, False, 0)
    assert mnist.schedule.milestones == (1 / 3, 2 / 3)


@pytest.mark.parametrize("cell", [c for c in cells() if c.base == "clipping-digits"], ids=lambda c: c.name)
def test_every_method_takes_the_options_of_its_cells(cell):
    section = load_config(cell.name).clipping
    method = training_method(
        section.method, tiny(), (1, 4, 4), section.max_norm, batch_norm=section.batch_norm, **section.options
    )
    method.step()


@pytest.mark.parametrize("cell", [c for c in cells() if c.method == "fastclip"], ids=lambda c: c.name)
def test_norms_are_checked_right_after_fastclip(cell):
    section = load_config(cell.name).clipping
    assert section.check_every is None or section.check_every % section.options["period"] == 0


@pytest.mark.parametrize("method", [method for method, mode in LEFT_OUT if mode == "joint"])
def test_what_is_left_out_is_refused(method):
    with pytest.raises(ValueError, match="batch_norm='joint'"):
        training_method(method, tiny(), (1, 4, 4), batch_norm="joint")
