"""Write docs/models.md from the registry: what each architecture is, and its parameters at published sizes.

usage: python -m tools.models_page            prints the page
       python -m tools.models_page --write    writes it
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tools.generated_page import escaped, run

from onelip import models
from onelip.models.registry import usual_method

PAGE = Path(__file__).parents[1] / "docs" / "models.md"

INTRODUCTION = """# Architectures

Every registered architecture; `onelip list models` prints the names. A network is built by name, with any layer method:
`models.build("liresnet", input_shape=(3, 32, 32), n_classes=10, layer="bro", width=256)`. This page is generated:
`python -m tools.models_page --write`.

- *layer*, *dense*, *activation*: what it is built with if `layer=`, `linear=` and `activation=` say nothing. Where no
  dense method is named it is that of the convolutions, or an orthogonal one.
- *options*: its own, with their defaults.
"""

SIZES_INTRODUCTION = """## Parameters

At published sizes, counted without drawing a number. Authors round, most of them down; where a count of theirs is of
something else, it says so.
"""

Shape = tuple[int, int, int]
CIFAR: Shape = (3, 32, 32)
TINY: Shape = (3, 64, 64)
IMAGENET: Shape = (3, 224, 224)


@dataclass(frozen=True)
class Size:
    """A network that someone published.

    Attributes:
        model: Name of the architecture.
        data: What it was for.
        shape: `(C, H, W)`.
        n_classes: Number of logits.
        published: The number of parameters that its authors give, in words.
        source: Where.
        options: Options of `models.build`.
    """

    model: str
    data: str
    shape: Shape
    n_classes: int
    published: str
    source: str
    options: Mapping[str, Any] = field(default_factory=dict)


_LIRESNET = "arXiv:2310.02513, hukkai/liresnet"
_BRONET = "arXiv:2505.15174, ntuaislab/BRONet"
_LIPNEXT = "arXiv:2601.18513"
_BRO_TINY = {"depth": 6, "rank_ratio": 0.125, "dense_depth": 4, "linear": "bro"}
_BRO_IMAGENET = {"width": 588, "depth": 8, "regularized": 6, "growing": True, "neck": "l2", "neck_size": 8}
_MATRICES = "the matrices alone, in units of 2^20"

SIZES: tuple[Size, ...] = (
    Size("liresnet", "CIFAR-10", CIFAR, 10, "83 M", _LIRESNET),
    Size("liresnet", "Tiny-ImageNet", TINY, 200, "133 M", _LIRESNET),
    Size("liresnet", "ImageNet", IMAGENET, 1000, "98 M", _LIRESNET, {"width": 588}),
    Size("liresnet", "CIFAR-10, first form", CIFAR, 10, "none", "arXiv:2301.12549", {"dense_depth": 0}),
    Size("bronet", "CIFAR-10", CIFAR, 10, "68 M", _BRONET),
    Size("bronet", "Tiny-ImageNet", TINY, 200, "75 M", _BRONET, _BRO_TINY),
    Size("bronet", "ImageNet", IMAGENET, 1000, "86 M", _BRONET, _BRO_IMAGENET),
    Size("lipnext", "CIFAR-10, L32W1024", CIFAR, 10, f"64 M: {_MATRICES}", _LIPNEXT),
    Size("lipnext", "CIFAR-10, L32W2048", CIFAR, 10, f"256 M: {_MATRICES}", _LIPNEXT, {"width": 2048}),
)


def count(size: Size) -> int:
    """Count the parameters of a network.

    Args:
        size: What to build.

    Returns:
        Their number.
    """
    with torch.device("meta"):
        model = models.build(size.model, input_shape=size.shape, n_classes=size.n_classes, **size.options)
    return sum(parameter.numel() for parameter in model.parameters())


def page() -> str:
    """Make the page.

    Returns:
        Markdown that ends in a newline.
    """
    names = [["name", "what it is", "layer", "dense", "activation", "options"], ["---"] * 6]
    names += [_row(name) for name in models.available()]
    sizes = [["name", "data", "options", "parameters", "published", "source"], ["---"] * 6]
    sizes += [
        [f"`{s.model}`", s.data, _settings(s.options), f"{count(s):,}", s.published, escaped(s.source)] for s in SIZES
    ]
    return "\n".join([INTRODUCTION, *map(_line, names), "", SIZES_INTRODUCTION, *map(_line, sizes), ""])


def _row(name: str) -> list[str]:
    part, usual = models.available()[name], usual_method(name)
    parameters = inspect.signature(part.factory).parameters
    options = {option: parameters[option].default for option in part.options}
    methods = [f"`{method}`" if method else "" for method in (usual.layer, usual.linear, usual.activation)]
    return [f"`{name}`", escaped(part.summary), *methods, _settings(options)]


def _settings(options: Mapping[str, Any]) -> str:
    return ", ".join(f"`{name}={value!r}`" for name, value in options.items())


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    run("models_page", PAGE, page)
