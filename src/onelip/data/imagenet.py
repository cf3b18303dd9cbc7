"""ImageNet-1k in its folders, decoded while training."""

from __future__ import annotations

from pathlib import Path

from onelip.data.class_folders import ClassFiles, check_count, files_by_folder, files_by_list
from onelip.data.image_files import folders_of, images_of
from onelip.data.images import DataError, DataSet
from onelip.data.registry import Progress, register_dataset
from onelip.data.streamed import StreamedImages

N_CLASSES, N_TRAIN, N_VALIDATION = 1000, 1_281_167, 50_000
"""Classes, and images in each part."""

# Of the training images: the pixel that networks on ImageNet have always subtracted, and what they divide by.
STATISTICS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of red, green and blue, in pixel units."""

LISTS = ("val_annotations.txt", "LOC_val_solution.csv")
"""Files that say which class each validation image has, where they are in one folder."""

_NEEDS = "data set 'imagenet' needs train/CLASS/*.JPEG and val/CLASS/*.JPEG, classes named n01440764 and so on"


@register_dataset("imagenet", dir="required")
def imagenet(
    dir: Path | None,
    progress: Progress | None = None,
    *,
    size: int = 224,
    resize: int = 256,
    threads: int | None = None,
) -> DataSet:
    """ImageNet-1k: 1,281,167 training and 50,000 test images in 1,000 classes, read from your own copy while training.

    The validation images of the challenge are the test part, as in all papers. Only names of files are kept in memory;
    images are decoded when they are wanted, the shorter side resized to `resize`, the central `size x size` pixels
    kept. Source: O. Russakovsky and others, "ImageNet Large Scale Visual Recognition Challenge", IJCV 115 (2015), for
    non-commercial research, from image-net.org after registration: nothing is downloaded.

    Args:
        dir: The folder with train/CLASS/*.JPEG and val/CLASS/*.JPEG. The validation images may also lie in `val`
            itself, if `val_annotations.txt` or `LOC_val_solution.csv`, there or in `dir`, has lines of an image's name
            and its class.
        progress: Called after each class with the number of classes.
        size: Height and width of images, in pixels.
        resize: Length of the shorter side before the centre is cut out, >= size.
        threads: How many files are decoded at the same time; that of the processors by default.

    Returns:
        The data set, `StreamedImages` of scale 255; classes are the WordNet numbers in alphabetical order.

    Raises:
        DataError: Files are missing, or there are others.
    """
    if dir is None or not dir.is_dir():
        raise DataError(f"dir={str(dir)!r} is not a folder; {_NEEDS}")
    train, validation = dir / "train", dir / "val"
    classes = folders_of(train, _NEEDS)
    check_count(f"classes in {train}", len(classes), N_CLASSES)
    parts = []
    for part, n_images, listed in (
        (train, N_TRAIN, files_by_folder(train, classes, progress=progress)),
        (validation, N_VALIDATION, _validation(dir, classes)),
    ):
        check_count(f"images in {part}", len(listed[0]), n_images)
        parts.append(StreamedImages(part, *listed, size, resize, threads, STATISTICS))
    return DataSet(
        "imagenet", parts[0], parts[1], classes, "ImageNet-1k, Russakovsky et al. 2015, https://image-net.org"
    )


def _validation(dir: Path, classes: tuple[str, ...]) -> ClassFiles:
    folder = dir / "val"
    if not images_of(folder, required=False):
        folders_of(folder, _NEEDS)
        return files_by_folder(folder, classes)
    listings = [place / name for place in (folder, dir) for name in LISTS if (place / name).is_file()]
    if not listings:
        raise DataError(
            f"{folder} holds images but no folders of classes; move them into val/CLASS/ or put {LISTS[0]} there, "
            "with a line for each image: its name and its class"
        )
    return files_by_list(listings[0], folder, classes)
