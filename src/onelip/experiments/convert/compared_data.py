"""The data sets of "1-Lipschitz Layers Compared"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from onelip.experiments.convert.conversion import Conversion
from onelip.experiments.convert.drawn_values import number_or_drawn
from onelip.experiments.convert.marked import Section


@dataclass(frozen=True)
class DataSet:
    """What a class of theirs is.

    Attributes:
        name: Our data set.
        size: Height and width of its images.
        classes: Number of classes.
        mean: What is subtracted from the pixels.
        std: What rescaled pixels are divided by.
        crops: Are training images cropped and flipped? Else changed by RandAugment.
        rescales: Does it divide by deviations by default?
        magnitude: Of RandAugment by default, or None.
    """

    name: str
    size: int
    classes: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    crops: bool = False
    rescales: bool = False
    magnitude: int | None = None


_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_CIFAR10 = ((0.49139968, 0.48215841, 0.44653091), (0.24703223, 0.24348513, 0.26158784))
_CIFAR100 = ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762))

DATA_SETS = {
    "CIFAR10": DataSet("cifar10", 32, 10, *_CIFAR10, crops=True),
    "CIFAR100": DataSet("cifar100", 32, 100, *_CIFAR100, crops=True),
    "ImageNet1k": DataSet("imagenet", 224, 1000, *_IMAGENET, rescales=True),
    "TinyImageNet": DataSet("tiny-imagenet", 64, 200, *_IMAGENET, magnitude=9),
}
"""By class."""

_KEYS = ("name", "train", "center", "rescale", "size", "rand_aug")


def convert_data(top: Section, out: Conversion) -> dict[str, Any]:
    """Convert the training and validation sets and the batch size.

    Args:
        top: The settings.
        out: Gets the notes.

    Returns:
        The section `data`.

    Raises:
        UserError: If a data set or a key is unknown.
    """
    trainset = top.child("trainset")
    kind = DATA_SETS[trainset.need("name").one_of("data set", DATA_SETS)]
    trainset.refuse_unread(_KEYS)
    if trainset.plain("train", True) is not True:
        raise trainset.need("train").refuse("trainset.train=false would train on the test images; set it to true")
    section = {
        "name": kind.name,
        "batch_size": _batch_size(top),
        "validation": _validation(top, out),
        "normalize": _normalize(trainset, kind, out),
        "augment": _augment(trainset, kind),
    }
    size = trainset.get("size")
    if size is not None and size.value != kind.size:
        out.no_counterpart("trainset.size", size, f"images stay {kind.size}x{kind.size}")
    elif size is None and kind.name == "imagenet":
        out.differs("images of ImageNet are cropped at their middle, there squeezed to 224x224")
    _check_classes(top, kind, out)
    return section


def _batch_size(top: Section) -> Any:
    value = top.need("batch_size")
    drawn = number_or_drawn(value, "batch_size")
    return int(drawn) if isinstance(drawn, float) else drawn


def _validation(top: Section, out: Conversion) -> float:
    valset = top.section("valset")
    if valset is None:
        out.differs("the tenth that is held out is drawn by the seed and not augmented, there unseeded and augmented")
        return 0.1
    DATA_SETS[valset.need("name").one_of("data set", DATA_SETS)]
    valset.refuse_unread(_KEYS)
    valset.read.update(_KEYS)
    where = "the test set" if valset.plain("train", True) is False else "the training images themselves"
    out.differs(f"a fiftieth of the training images is held out to watch the training, there valset is {where}")
    return 0.02


def _normalize(trainset: Section, kind: DataSet, out: Conversion) -> str:
    center, rescale = trainset.plain("center", True), trainset.plain("rescale", kind.rescales)
    if kind.name in ("cifar10", "cifar100"):
        if center and rescale:
            out.subtracted = 2
            out.differs("pixels are normalised once, there center and rescale subtract the mean twice")
        if not rescale:
            return "mean" if center else "none"
        return "standardize"
    if not (center or rescale):
        return "none"
    out.differs(f"the mean of the pixels is that of {kind.name}, there ImageNet's {list(kind.mean)}")
    return "standardize" if rescale else "mean"


def _augment(trainset: Section, kind: DataSet) -> dict[str, Any]:
    if kind.crops:
        # They crop what is normalised already: zeros are the mean colour.
        normalised = trainset.plain("center", True) or trainset.plain("rescale", False)
        return {"crop": 4, "flip": True, "fill": "mean" if normalised else "zeros"}
    magnitude = trainset.get("rand_aug")
    strength: Any = kind.magnitude if magnitude is None else int(magnitude.number("rand_aug"))
    return {} if strength is None else {"rand_augment": {"num_ops": 2, "magnitude": strength}}


def _check_classes(top: Section, kind: DataSet, out: Conversion) -> None:
    given = top.child("model").get("nrof_classes")
    logits = 10 if given is None else given.value
    if logits != kind.classes:
        out.differs(f"the network has the {kind.classes} logits of {kind.name}, there {logits}")
