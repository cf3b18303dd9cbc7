"""Shipped configurations at small sizes, everything else as they say, on made-up images of the right shape."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from onelip.data import DataSet, ImageData
from onelip.experiments.config import ExperimentConfig
from onelip.experiments.config_file import check_config

SHAPES = {
    "cifar10": ((3, 32, 32), 10),
    "cifar100": ((3, 32, 32), 100),
    "digits": ((1, 8, 8), 10),
    "imagenet": ((3, 224, 224), 1000),
    "mnist": ((1, 28, 28), 10),
    "tiny-imagenet": ((3, 64, 64), 200),
}
"""Shape of an image and number of classes, by data set of a classifier's configuration."""

OTHER_SHAPES = {
    "fashion-mnist": ((1, 28, 28), 10),
    "folder-stream": ((3, 64, 64), 2),
    "stl10": ((3, 96, 96), 10),
    "svhn": ((3, 32, 32), 10),
}
"""Those of the data sets that only configurations of other tasks have."""

_FRAME = {"width": 8, "depth": 1, "dense_width": 16, "dense_depth": 1}
SMALL: dict[str, dict[str, Any]] = {
    "bronet": _FRAME,
    "convnet": {"width": 4, "depth": 1},
    "dcgan-critic": {"width": 2},
    "dla": {"widths": [2, 2, 2, 4, 4, 4, 4]},
    "fc-3": {"widths": [16]},
    "infogan-critic": {"widths": [2, 2], "dense": [8]},
    "kw-large": {"width": 2, "dense": 8},
    "kw-small": {"width": 2, "dense": 8},
    "lconvnet-large": {"width": 4, "dense": 16},
    "lconvnet-small": {"width": 4, "dense": 16},
    "lenet": {"width": 2, "dense": 8},
    "lipnext": {"width": 16, "depth": 1},
    "l2nnn": {"widths": [2], "pooled": [1], "shared": [4], "dense": []},
    "liresnet": _FRAME,
    "mlp": {"widths": [16]},
    "patchnet": {"width": 8, "depth": 1},
    "pyramid": {"widths": [8, 8], "depths": [2, 2], "dense": [8]},
    "resnet18": {"width": 2},
    "simple-conv": {"width": 2},
    "tiny-convnet": {"width": 4, "depth": 1},
}
"""Options of a small network, by model, or by what comes before the size in its name."""

LEFT_OPEN = {"optimizer": ("lr", "weight_decay"), "trainer": ("max_epochs", "validate_every")}
"""Keys by section in which experiments may differ that run the same code."""


def reduced(config: ExperimentConfig, pool: Path) -> ExperimentConfig:
    """Cut a configuration down to one step of a small network on four images.

    Args:
        config: A shipped configuration.
        pool: File of generated images, for those that mix them in.

    Returns:
        It with another name, and with other sizes of the network, the batch, the training and the test.
    """
    tree = config.resolved()
    tree["model"] |= _small_options(config.model.name, config.model.options)
    # Two classes have made-up images.
    tree["data"] |= {"batch_size": 4, "validation": 0.2, "dir": None, "subset": None}
    if config.data.generated is not None:
        tree["data"]["generated"] |= {"path": str(pool)}
    tree["trainer"] |= {"max_steps": 1, "max_minutes": None, "threads": 1, "accelerator": "cpu"}
    if config.certify is not None:
        tree["certify"] |= {"max_samples": 2}
    return check_config(tree | {"name": "reduced", "attack": None})


def what_matters(config: ExperimentConfig) -> str:
    """Tell a reduced configuration from others, but for `LEFT_OPEN`.

    Args:
        config: What `reduced` gave.

    Returns:
        Equal for experiments that run the same code; a family of networks counts as one.
    """
    tree = config.resolved()
    tree["model"]["name"] = _family(config.model.name)
    for section, keys in LEFT_OPEN.items():
        for key in keys:
            tree[section].pop(key, None)
    return json.dumps(tree)


def images_like(name: str) -> DataSet:
    """Make up a data set.

    Args:
        name: A key of `SHAPES` or `OTHER_SHAPES`.

    Returns:
        20 training and 4 test images of noise in bytes, of the first and the last class.
    """
    shape, n_classes = (SHAPES | OTHER_SHAPES)[name]
    generator = torch.Generator().manual_seed(0)
    parts = []
    for n in (20, 4):
        images = torch.randint(0, 256, (n, *shape), generator=generator).to(torch.uint8)
        parts.append(ImageData(images, torch.arange(n) % 2 * (n_classes - 1), 255.0))
    return DataSet(name, *parts, tuple(map(str, range(n_classes))), "made up")


def write_pool(path: Path) -> None:
    """Write generated images as they are published.

    Args:
        path: The .npz file.
    """
    rng = np.random.default_rng(0)
    np.savez(path, image=rng.integers(0, 256, (8, 32, 32, 3), dtype=np.uint8), label=np.arange(8))


def _family(name: str) -> str:
    return name if name in SMALL else name.rpartition("-")[0]


def _small_options(name: str, options: dict[str, Any]) -> dict[str, Any]:
    small = SMALL[_family(name)]
    # Blocks of a kind that the configuration asks for, and of another as many as the neck can divide.
    return small | ({"regularized": 1, "depth": 4} if options.get("regularized") else {})
