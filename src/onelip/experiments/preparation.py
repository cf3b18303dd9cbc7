"""From a configuration to an experiment: data and network in memory, everything checked, nothing written."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from onelip import data, layers, losses, models, spectral
from onelip.bounds import lipschitz_bound, training_constants
from onelip.certify.relaxation.training import training_layers
from onelip.data import DataSet, Generated, ImageData, Images, load_generated
from onelip.experiments.config import ExperimentConfig
from onelip.experiments.errors import as_user_errors
from onelip.experiments.process_plan import ProcessPlan
from onelip.experiments.processes import in_turns
from onelip.experiments.progress import work_bar
from onelip.experiments.start import Began, begin_with, start_folder
from onelip.experiments.subset import ChosenImages, choose_images
from onelip.layers.registry import Kind
from onelip.linalg import unknown_name
from onelip.spectral import TrainingMethod, training_method
from onelip.tasks.growth import check_growth

_OPTION_TYPES = {bool: (bool,), int: (int,), float: (float, int), str: (str,), tuple: (list,), list: (list,)}


@dataclass(frozen=True, eq=False)
class Experiment:
    """All that a training needs, in memory and checked.

    Attributes:
        config: The configuration.
        data: The data set.
        train: The images to learn from.
        validation: The images to select weights by.
        model: The network, with fresh weights.
        loss: The loss.
        method: What keeps the norms of the network small, or None.
        generated: Generated images to mix in, or None.
        chosen: Which of the data set's images `train` and `validation` are, if they are a subset.
        began: Which weights the network has if they are those of another run, else None.
    """

    config: ExperimentConfig
    data: DataSet
    train: Images
    validation: Images
    model: nn.Module
    loss: nn.Module
    method: TrainingMethod | None = None
    generated: Generated | None = None
    chosen: ChosenImages | None = None
    began: Began | None = None


def prepare(
    config: ExperimentConfig,
    processes: ProcessPlan | None = None,
    *,
    fresh: bool = False,
    images: DataSet | None = None,
) -> Experiment:
    """Check the names in a configuration, load the data, build the network; write nothing.

    Args:
        config: The configuration.
        processes: The place of this process among those that train together, which all call this; None for one alone.
        fresh: Is a training about to begin? Then the weights are those that `start` names, if it names any.
        images: What to take for the data set; None to load it.

    Returns:
        The experiment, its weights otherwise drawn with the configuration's seed.

    Raises:
        UserError: If something does not exist or does not fit together.
    """
    with as_user_errors():
        _check_names(config)
        loss = losses.build(config.loss.name, **config.loss.options)
        # Data that has to be fetched or decoded first is there for all that come later.
        if images is None:
            images = in_turns(processes or ProcessPlan(), lambda: _load(config))
        generated = _load_generated(config, images)
        chosen = choose_images(config.data, images, config.seed)
        train, validation = _parts(config, images, chosen)
        if config.trainer.threads is not None:
            torch.set_num_threads(config.trainer.threads)
        # A subset is all that the run knows of the training images.
        known = images if chosen is None else replace(images, train=train)
        model = build_model(config, known)
        began = _begin(config, model, known) if fresh else None
        with torch.no_grad():
            model(train.pixels(slice(0, 2)))
        if config.trainer.growth is not None:
            check_growth(model)
        if config.relaxation is not None:
            _check_relaxation(config, loss, model, train)
        # Layers without a constant are named now instead of in or after the training.
        if getattr(loss, "uses_constants", False):
            with torch.no_grad():
                training_constants(model, images.n_classes)
        if config.certify is not None and config.certify.norm != "l2":
            lipschitz_bound(layers.to_plain(model), images.input_shape, norm=config.certify.norm)
        _check_averages(config, model)
        if config.projection is not None:
            config.projection.callback().layers(model)
        method = _build_method(config, model, images)
    return Experiment(config, images, train, validation, model, loss, method, generated, chosen, began)


def build_model(config: ExperimentConfig, images: DataSet) -> nn.Module:
    """Build the configured network, preceded by the normalisation of pixels that is asked for.

    Args:
        config: The configuration.
        images: The data set that the network is for.

    Returns:
        The network, its weights drawn with the configuration's seed.
    """
    torch.manual_seed(config.seed)
    return models.build(
        config.model.name,
        input_shape=images.input_shape,
        n_classes=images.n_classes,
        layer=config.layer,
        linear=config.linear,
        activation=config.activation,
        mean=images.train.channel_mean() if config.data.normalize != "none" else None,
        std=images.train.channel_std() if config.data.normalize == "standardize" else None,
        layer_options=config.layer_options,
        **config.model.options,
    )


def _parts(config: ExperimentConfig, images: DataSet, chosen: ChosenImages | None) -> tuple[Images, Images]:
    if chosen is None:
        return data.split(images.train, config.data.validation or 0.0, config.seed)
    return images.train.subset(chosen.train), images.train.subset(chosen.validation)


def _load(config: ExperimentConfig) -> DataSet:
    with work_bar(f"loading {config.data.name}") as progress:
        return data.load(config.data.name, config.data.dir, progress=progress, **config.data.options)


def _begin(config: ExperimentConfig, model: nn.Module, images: DataSet) -> Began | None:
    if config.start is None:
        return None
    other = start_folder(config.start, config.runs_dir).config()
    source = build_model(other, images)
    _build_method(other, source, images)
    return begin_with(model, source, config.start, config.runs_dir)


# An average would be of kernels that are not projected yet, and is not projected itself.
def _check_averages(config: ExperimentConfig, model: nn.Module) -> None:
    for name, module in model.named_modules():
        if config.trainer.ema is not None and getattr(module, "projection_period", 0) > 1:
            raise ValueError(
                f"trainer.ema does not go with {name!r}, {type(module).__name__}, which is projected after every "
                f"{module.projection_period} steps only; use trainer.ema=null"
            )


# As with constants: what has no relaxation is named before anything is trained.
def _check_relaxation(config: ExperimentConfig, loss: nn.Module, model: nn.Module, train: Images) -> None:
    if getattr(loss, "uses_constants", False):
        raise ValueError(
            f"loss={config.loss.name} takes Lipschitz constants, which the worst logits of relaxation have none of; "
            f"use cross-entropy or another loss of logits alone"
        )
    with torch.no_grad():
        list(training_layers(model, train.pixels(slice(0, 2))))


def _load_generated(config: ExperimentConfig, images: DataSet) -> Generated | None:
    section = config.data.generated
    if section is None:
        return None
    if not isinstance(images.train, ImageData):
        raise ValueError(f"data.generated is mixed with images in memory only, and those of {images.name} are on disk")
    augment = None if section.augment is None else section.augment.build()
    pool = Generated(load_generated(section.path, images), section.ratio, augment)
    pool.real_images(config.data.batch_size)
    return pool


def _build_method(config: ExperimentConfig, model: nn.Module, images: DataSet) -> TrainingMethod | None:
    section = config.clipping
    if section is None:
        return None
    return training_method(
        section.method, model, images.input_shape, section.max_norm, batch_norm=section.batch_norm, **section.options
    )


def _check_names(config: ExperimentConfig) -> None:
    layer_names = {*layers.available("conv2d"), *layers.available("linear"), "plain"}
    for kind, name, allowed in (
        ("data set", config.data.name, data.available()),
        ("model", config.model.name, models.available()),
        ("layer", config.layer, layer_names),
        ("linear layer", config.linear or "plain", {*layers.available("linear"), "plain"}),
        ("activation", config.activation, layers.available("activation")),
        ("loss", config.loss.name, losses.available()),
    ):
        if name not in allowed:
            raise ValueError(unknown_name(kind, name, allowed))
    clipping = config.clipping
    if clipping is not None:
        if clipping.method not in spectral.available():
            raise ValueError(unknown_name("clipping.method", clipping.method, spectral.available()))
        _check_options("clipping", clipping.options, spectral.available()[clipping.method].factory)
    _check_options("data.options", config.data.options, data.available()[config.data.name].loader)
    for name in config.model.options:
        if name in inspect.signature(models.build).parameters:
            raise ValueError(
                f"model.{name} is not an option of a model; the configuration has keys of its own for that"
            )
    _check_options("model", config.model.options, models.available()[config.model.name].factory)
    kinds: tuple[Kind, ...] = ("conv2d", "linear")
    for kind in kinds:
        if config.layer in layers.available(kind):
            _check_options("layer_options", config.layer_options, layers.record(kind, config.layer).factory)
            break
    _check_options("loss", config.loss.options, losses.available()[config.loss.name].factory)


# Types follow the defaults; names, ranges and the mappings of ramps are checked by the parts themselves.
def _check_options(section: str, options: dict[str, Any], factory: Any) -> None:
    defaults = {name: p.default for name, p in inspect.signature(factory).parameters.items()}
    annotations = {name: str(p.annotation) for name, p in inspect.signature(factory).parameters.items()}
    scheduled = getattr(factory, "scheduled", ())
    for name, value in options.items():
        if name in scheduled and isinstance(value, dict):
            continue
        default = defaults.get(name)
        if value is None and "None" in annotations.get(name, ""):
            continue
        kinds = _OPTION_TYPES.get(type(default))
        if kinds is not None and type(value) not in kinds:
            shown = list(default) if isinstance(default, tuple) else default
            raise ValueError(f"{section}.{name}={value!r} has the wrong type; the default is {shown!r}")
