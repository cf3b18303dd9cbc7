"""Which training images a run learns from and validates with, where its configuration asks for a subset."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from onelip.data import DataSet, balanced_subset, hold_out, read_indices, write_indices
from onelip.experiments.config_data import Data
from onelip.experiments.config_subset import Subset
from onelip.experiments.run_folder import RunFolder


@dataclass(frozen=True, eq=False)
class ChosenImages:
    """Images by their index in the training part of the data set as it is loaded.

    Attributes:
        train: `(N,)` int64, to learn from.
        validation: `(M,)` int64, to select weights by; may be empty.
    """

    train: Tensor
    validation: Tensor


def choose_images(section: Data, images: DataSet, seed: int) -> ChosenImages | None:
    """Draw or read the subset that a configuration asks for.

    Args:
        section: The configuration's data.
        images: The data set.
        seed: The run's.

    Returns:
        The images; None if there is no subset.

    Raises:
        ValueError: A class has too few images, or the files do not fit the data or each other.
    """
    subset = section.subset
    if subset is None:
        return None
    train, validation = _drawn(subset, images, seed) if subset.indices is None else _listed(subset, images)
    if validation is None:
        share = section.validation or 0.0
        validation = hold_out(images.train.labels, share, seed, train)
        if share > 0 and not len(validation):
            raise ValueError(
                f"data.validation={share:g} of the training images holds none out, as no class has enough of them; use "
                f"data.subset.validation_per_class, or data.validation=0 with certify.weights=last"
            )
    return ChosenImages(train, validation)


def keep_indices(chosen: ChosenImages | None, folder: RunFolder) -> None:
    """Write the indices into a run folder that does not have them; what is resumed takes those.

    Args:
        chosen: The images, or None.
        folder: The run's.
    """
    if chosen is None or folder.train_indices_file.exists():
        return
    if len(chosen.validation):
        write_indices(folder.validation_indices_file, chosen.validation)
    # Last: where it is, the other one is, too.
    write_indices(folder.train_indices_file, chosen.train)


def _drawn(subset: Subset, images: DataSet, seed: int) -> tuple[Tensor, Tensor | None]:
    n_validation = subset.validation_per_class
    train, validation = balanced_subset(
        images.train.labels,
        subset.per_class or 0,
        seed if subset.seed is None else subset.seed,
        validation_per_class=n_validation or 0,
        classes=images.classes,
    )
    return train, None if n_validation is None else validation


def _listed(subset: Subset, images: DataSet) -> tuple[Tensor, Tensor | None]:
    train = read_indices(subset.indices or "", len(images.train))
    if subset.validation_indices is None:
        return train, None
    validation = read_indices(subset.validation_indices, len(images.train))
    shared = set(train.tolist()) & set(validation.tolist())
    if shared:
        raise ValueError(
            f"index {min(shared)} is in both {subset.indices} and {subset.validation_indices}; an image is learned or "
            "validates"
        )
    return train, validation
