"""The section `data` of a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from onelip import data
from onelip.experiments.config_section import NonNegativeFloat, Part, Section
from onelip.experiments.config_subset import Subset

Share = Annotated[float, Field(gt=0.0, le=1.0)]
PositiveRange = Annotated[tuple[PositiveFloat, PositiveFloat], Field(strict=False)]


class ResizedCrop(Section):
    """A random part of the image, stretched to its size, see `onelip.data.ResizedCrop`."""

    scale: Annotated[tuple[Share, Share], Field(strict=False)] = (0.08, 1.0)
    ratio: PositiveRange = (3 / 4, 4 / 3)

    @model_validator(mode="after")
    def _check(self) -> Self:
        data.ResizedCrop(scale=self.scale, ratio=self.ratio)
        return self


class ColorJitter(Section):
    """Changes of brightness, contrast, saturation and hue, see `onelip.data.ColorJitter`."""

    brightness: NonNegativeFloat = 0.0
    contrast: NonNegativeFloat = 0.0
    saturation: NonNegativeFloat = 0.0
    hue: Annotated[float, Field(ge=0.0, le=0.5)] = 0.0


class RandAugment(Section):
    """Operations drawn for each image, see `onelip.data.RandAugment`."""

    num_ops: PositiveInt = 2
    magnitude: Annotated[int, Field(ge=0)] = 9
    num_magnitude_bins: Annotated[int, Field(ge=2)] = 31
    probability: Share = 1.0

    @model_validator(mode="after")
    def _check(self) -> Self:
        data.RandAugment(**self.model_dump())
        return self


class Augment(Section):
    """Random changes to training images, see `onelip.data.Augment`."""

    crop: Annotated[int, Field(ge=0)] = 0
    flip: bool = False
    rotate: Annotated[float, Field(ge=0.0, le=180.0)] = 0.0
    scale: Annotated[float, Field(ge=0.0, le=0.9)] = 0.0
    translate: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    fill: Literal["zeros", "mean"] = "zeros"
    cutout: Annotated[int, Field(ge=0)] = 0
    resized_crop: ResizedCrop | None = None
    color_jitter: ColorJitter | None = None
    rand_augment: RandAugment | None = None

    def build(self) -> data.Augment:
        """Make the changes that this section describes.

        Returns:
            The changes.
        """
        return data.Augment.from_options(self.model_dump())


class Generated(Section):
    """A pool of generated images, `ratio` of which are mixed in for each real one, see `onelip.data.load_generated`.

    `path` is a .npz file or a folder; `augment` null means that of the real images.
    """

    path: str
    ratio: PositiveFloat = 3.0
    augment: Augment | None = None


class Data(Section):
    """The images; `validation` is the part of the training images that is held out to select weights.

    With `validation` 0 all images are learned and nothing is validated; the weights after the last epoch are kept. It
    is null where `subset` has validation images of its own.

    `options` are those of the data set's loader, such as the size of images that are streamed from disk.

    `normalize` is done by the network's first layer: nothing, subtract the "mean" pixel of the training images, or
    "standardize" by their mean and standard deviation; attacks and radii are in pixel units in any case.
    """

    name: str = "digits"
    dir: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    batch_size: PositiveInt = 128
    eval_batch_size: PositiveInt = 512
    validation: Part | None = 0.1
    subset: Subset | None = None
    normalize: Literal["none", "mean", "standardize"] = "mean"
    augment: Augment = Augment()
    generated: Generated | None = None

    @model_validator(mode="before")
    @classmethod
    def _validation_of_subset(cls, tree: Any) -> Any:
        subset = tree.get("subset") if isinstance(tree, Mapping) else None
        own = isinstance(subset, Mapping) and any(
            subset.get(name) is not None for name in ("validation_per_class", "validation_indices")
        )
        return {**tree, "validation": None} if own and "validation" not in tree else tree

    @model_validator(mode="after")
    def _check(self) -> Self:
        own = None if self.subset is None else self.subset.own_validation
        if own is not None and self.validation is not None:
            raise ValueError(
                f"data.validation={self.validation} and {own} both say what validates; set data.validation=null"
            )
        if own is None and self.validation is None:
            raise ValueError("data.validation=null needs a data.subset with validation images; give a share, or 0")
        return self
