"""Table 4 of LConvNet: Wasserstein distances between images and what GANs draw."""

from __future__ import annotations

from collections.abc import Sequence

from onelip.experiments.tables.grid import Slot, Spec, Unit, having
from onelip.experiments.tables.published import published
from onelip.experiments.tables.templates.lconvnet import PAPER
from onelip.experiments.tables.templates.template import Inputs, Template

_TABLES = {"stl10": ("4a", "STL-10"), "cifar10": ("4b", "CIFAR-10")}
_METHODS, _ACTIVATIONS = ("ossn", "rko", "bcop"), {"maxmin": "MaxMin", "relu": "ReLU"}

_UNITS = {
    "stl10": "five seeds, training images of 64x64 pixels in [-1, 1], its own GAN; not divided by the layers' constant",
    "cifar10": "five seeds, training images repeated to 64x64 pixels in [-1, 1], which makes distances four times as "
    "large, its own GAN; not divided by the layers' constant",
}


def _build(inputs: Inputs) -> Sequence[Spec]:
    return [_table(data) for data in _TABLES]


def _table(data: str) -> Spec:
    number, title = _TABLES[data]
    slots: dict[tuple[int, int], Slot | str] = {}
    for r, activation in enumerate(_ACTIVATIONS):
        for c, method in enumerate(_METHODS):
            where = having("wasserstein", data=data, p="gan", q="images", layer=method, activation=activation)
            stated = published("lconvnet_w1", data=data, activation=activation, method=method)
            needs = f"wasserstein-gan-{data} layer={method} activation={activation}"
            unit = Unit("l2 of pixels in [0, 1]", 1.0, 3)
            slots[r, c] = Slot("lower_bound", where, unit, "max", str(r), needs, stated)
    return Spec(
        f"{PAPER}, table {number}: lower bounds of the Wasserstein distance between {title} and a GAN",
        ("activation",),
        [(name,) for name in _ACTIVATIONS.values()],
        [(name.upper(),) for name in _METHODS],
        slots,
        ["Bounds are divided by the proved constant, on held-out test images with pixels in [0, 1] at their own size."],
        _UNITS[data],
    )


TEMPLATES = (
    Template(
        "lconvnet-4",
        "Wasserstein distances of GANs, STL-10 (4a) and CIFAR-10 (4b): OSSN, RKO and BCOP with MaxMin and ReLU",
        PAPER,
        ("wasserstein-gan-stl10", "wasserstein-gan-cifar10"),
        _build,
    ),
)
