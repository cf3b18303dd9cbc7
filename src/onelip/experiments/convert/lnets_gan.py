"""GANs of LNets, and of LConvNet, whose files have the same keys."""

from __future__ import annotations

from typing import Any

from onelip.experiments.convert.conversion import Conversion, check_name
from onelip.experiments.convert.lnets_wasserstein import steps_of
from onelip.experiments.convert.marked import Section

_KINDS = {"LWGAN": "lipschitz", "WGAN": "wgan", "WGAN_GP": "wgan-gp"}
_IMAGES = {"cifar10": 50_000, "fashion-mnist": 60_000, "mnist": 60_000, "stl10": 5_000, "svhn": 73_257}
"""Training images, by data set."""


def convert_gan(top: Section) -> Conversion:
    """Convert a GAN.

    Args:
        top: The file.

    Returns:
        The configuration.

    Raises:
        UserError: If a name is unknown.
    """
    out = Conversion()
    kind = _KINDS[top.need("gan_type").one_of("gan_type", _KINDS)]
    data = top.need("dataset").one_of("dataset", _IMAGES)
    batch = int(top.need("batch_size").number("batch_size"))
    out.tree |= {"task": "gan", "name": check_name(f"{top.plain('exp_name', 'gan')}-{data}")}
    out.tree["seed"] = top.plain("seed", 0)
    out.tree["data"] = {"name": data, "batch_size": batch} | _size(top)
    betas = [float(top.plain("beta1", 0.5)), float(top.plain("beta2", 0.999))]
    critic: dict[str, Any] = {"name": kind}
    critic["optimizer"] = {"name": "adam", "lr": float(top.plain("lrD", 2e-4)), "betas": betas}
    if "lambda" in top and kind == "wgan-gp":
        critic["weight"] = float(top.need("lambda").number("lambda"))
    elif kind == "wgan-gp":
        out.notes.append("added: critic.weight=10, which the file does not say")
    out.tree["critic"] = critic
    out.tree["optimizer"] = {"name": "adam", "lr": float(top.plain("lrG", 2e-4)), "betas": betas}
    epochs = int(top.need("epoch").number("epoch"))
    out.tree["trainer"] = steps_of(epochs, max(1, _IMAGES[data] // batch))
    top.get("task")
    out.differs("images are pixels in [0, 1], there in [-1, 1]; what is sampled is an average of the weights")
    out.leave_out(top)
    return out


def _size(top: Section) -> dict[str, int]:
    value = top.get("input_size")
    return {} if value is None else {"size": int(value.number("input_size"))}
