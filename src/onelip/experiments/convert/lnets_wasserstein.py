"""Estimates of Wasserstein distances of LNets."""

from __future__ import annotations

from typing import Any

from onelip.experiments.convert.conversion import Conversion, check_name
from onelip.experiments.convert.lnets_parts import (
    convert_activation,
    convert_clip,
    convert_layers,
    convert_optimizer,
    convert_schedule,
)
from onelip.experiments.convert.marked import Section

GAN_DATA = ("cifar10", "fashion-mnist", "mnist", "stl10", "svhn")
"""Data sets of GANs that have a configuration here."""

_VALIDATIONS = 20
"""About as many measurements in a training."""


def convert_wasserstein(top: Section) -> Conversion:
    """Convert an estimate.

    Args:
        top: The file.

    Returns:
        The configuration.

    Raises:
        UserError: If a name is unknown.
    """
    out = Conversion()
    model, optim = top.child("model"), top.child("optim")
    first, second = top.child("distrib1"), top.child("distrib2")
    model.need("name").one_of("model.name", ("dual_fc",))
    out.tree |= {"task": "wasserstein", "name": check_name(str(top.plain("exp_name", "lnets")))}
    out.tree["seed"] = top.plain("seed", 0)
    out.tree["p"], out.tree["q"] = _distribution(first, out), _distribution(second, out)
    *widths, _ = model.need("layers").plain()
    out.tree["model"] = {"name": "mlp", "widths": widths}
    convert_layers(model, out)
    out.tree["activation"] = convert_activation(model, widths, out)
    if float(model.plain("l_constant", 1)) != 1:
        out.no_counterpart("model.l_constant", model.need("l_constant"), "the critic's constant is 1")
    for key in ("per_epoch_proj", "per_update_proj"):
        section = model.section(key)
        if section is not None:
            if section.plain("turned_on", False) is True:
                out.no_counterpart(section.path, section.marked)
            section.read.update(section.marked.value)
    epochs, steps = (int(optim.need(key).number(key)) for key in ("epochs", "epoch_len"))
    out.tree["optimizer"] = convert_optimizer(optim, 1.0, out)
    out.tree["schedule"] = convert_schedule(optim, epochs, out)
    _sizes(first, second, out)
    out.tree["trainer"] = {**steps_of(epochs, steps), **convert_clip(optim)}
    top.get("task")
    out.differs("the distance is measured on fresh samples after the training, with its standard error")
    out.leave_out(top)
    return out


def steps_of(epochs: int, steps: int) -> dict[str, int]:
    """Lay out a training of epochs in steps.

    Args:
        epochs: Number of epochs.
        steps: Steps of an epoch.

    Returns:
        Keys of the section `trainer`.
    """
    every = max(n for n in range(1, max(1, epochs // _VALIDATIONS) + 1) if epochs % n == 0)
    return {"max_steps": epochs * steps, "validate_every": every * steps}


def _distribution(section: Section, out: Conversion) -> dict[str, Any]:
    name = section.need("name").one_of(section.full("name"), ("GANSampler", "MultiSphericalShell"))
    section.get("filepath")
    if name == "GANSampler":
        return _images(section, out)
    dim = int(section.need("dim").number("dim"))
    centers = [[float(x)] + [0.0] * (dim - 1) for x in section.need("center_x").plain()]
    shells: dict[str, Any] = {
        "name": "shells",
        "centers": centers,
        "radius": float(section.need("radius").number("radius")),
    }
    shells["empty_dim"] = section.plain("empty_dim", 0)
    grid = section.plain("reshape_to_grid", False)
    return shells | ({"grid": grid} if grid else {})


def _images(section: Section, out: Conversion) -> dict[str, Any]:
    path = section.need("gan_config_json_path")
    data = next((name for name in GAN_DATA if name in str(path.value).lower()), None)
    if data is None:
        raise path.refuse(f"{path.value} names no data set of {', '.join(GAN_DATA)}, by which the GAN would be found")
    section.get("dim")
    if section.plain("generate_type", "generated") == "real":
        out.differs(f"images of {data} are pixels in [0, 1] at their own size, measured on its test images")
        return {"name": "images", "set": data}
    out.differs(f"samples are those of gan-{data}, trained first where there is no run of it, there of {path.value}")
    return {"name": "gan", "config": f"gan-{data}"}


def _sizes(first: Section, second: Section, out: Conversion) -> None:
    sizes = {key: (int(first.plain(key, 32)), second.plain(key, 32)) for key in ("sample_size", "test_sample_size")}
    for key, (one, other) in sizes.items():
        if one != other:
            out.no_counterpart(second.full(key), second.need(key), f"both distributions have {one}")
    out.tree["batch_size"] = sizes["sample_size"][0]
    out.tree["evaluation"] = {"n_samples": sizes["test_sample_size"][0]}
