"""A data set of image files, one folder per class, that is decoded while training."""

from __future__ import annotations

from pathlib import Path

from onelip.data.class_folders import files_by_folder
from onelip.data.image_files import folders_of
from onelip.data.images import DataError, DataSet
from onelip.data.registry import Progress, register_dataset
from onelip.data.streamed import StreamedImages

_NEEDS = "data set 'folder-stream' needs train/CLASS/, and test/CLASS/ or val/CLASS/, with image files"


@register_dataset("folder-stream", dir="required")
def folder_stream(
    dir: Path | None,
    progress: Progress | None = None,
    *,
    size: int = 224,
    resize: int = 256,
    threads: int | None = None,
) -> DataSet:
    """Your own image files of any size, as for `folder`, but read from disk while training.

    They are in DIR/train/CLASS/ and DIR/test/CLASS/, or DIR/val/CLASS/ if there is no DIR/test. Only names are kept in
    memory. An image is resized such that its shorter side is `resize`, and the central `size x size` pixels are kept.
    All images become RGB.

    Args:
        dir: The folder that holds `train` and `test`.
        progress: Called after each class with the number of classes.
        size: Height and width of images, in pixels.
        resize: Length of the shorter side before the centre is cut out, >= size.
        threads: How many files are decoded at the same time; that of the processors by default.

    Returns:
        The data set, `StreamedImages` of scale 255.

    Raises:
        DataError: A folder is missing or empty.
    """
    if dir is None or not dir.is_dir():
        raise DataError(f"dir={str(dir)!r} is not a folder; {_NEEDS}")
    classes = folders_of(dir / "train", _NEEDS)
    test = dir / "test" if (dir / "test").is_dir() else dir / "val"
    folders_of(test, _NEEDS)
    parts = [
        StreamedImages(part, *files_by_folder(part, classes, required=required, progress=report), size, resize, threads)
        for part, required, report in ((dir / "train", True, progress), (test, False, None))
    ]
    return DataSet("folder-stream", parts[0], parts[1], classes, str(dir))
