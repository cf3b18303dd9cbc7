"""Write docs/layers.md from the registry: a table for each kind of layer.

usage: python -m tools.layers_page            prints the page
       python -m tools.layers_page --write    writes it
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

from tools.generated_page import escaped, run

from onelip import layers
from onelip.layers import LayerRecord
from onelip.layers.registry import KINDS, Kind

PAGE = Path(__file__).parents[1] / "docs" / "layers.md"

TITLES: dict[Kind, str] = {
    "conv1d": "1-D convolutions",
    "conv2d": "2-D convolutions",
    "conv_transpose2d": "2-D transposed convolutions",
    "linear": "Dense layers",
    "activation": "Activations",
    "pool": "Pooling and sampling",
    "normalization": "Normalisation",
}

INTRODUCTION = """# Layers

Every registered layer, by kind; `onelip list layers` prints the same. A layer is built by name, as in
`layers.{example}`, or by its class, and takes the arguments of its torch namesake. This page is generated:
`python -m tools.layers_page --write`.

- *orthogonal*: every singular value can be 1, under circular padding for convolutions.
- *paddings*: padding modes under which the bound holds. *strides*: may the stride exceed 1? *square*: must it keep the
  number of channels or features?
- *norm*: the norm in which the method makes the layer 1-Lipschitz; `lipschitz_bound` is of the l2 norm for all.
- *cost*: of the constraint per weight update, beside that of the plain layer.
"""

Column = tuple[str, Callable[[LayerRecord], str]]

_NAMES: tuple[Column, ...] = (
    ("name", lambda r: f"`{r.name}`"),
    ("class", lambda r: f"`{r.factory.__name__}`"),
    ("orthogonal", lambda r: _yes(r.orthogonal)),
)
_CONVOLUTIONS: tuple[Column, ...] = (
    ("paddings", lambda r: ", ".join(r.paddings)),
    ("strides", lambda r: _yes(r.strides)),
)
_WEIGHTED: tuple[Column, ...] = (
    ("square", lambda r: _yes(r.square)),
    ("norm", lambda r: r.norm),
    ("cost", lambda r: escaped(r.cost)),
)
_SOURCES: tuple[Column, ...] = (
    ("what it is", lambda r: escaped(summary(r))),
    ("source", lambda r: escaped(r.paper)),
)


def columns(kind: Kind) -> tuple[Column, ...]:
    """Choose the columns of one kind's table.

    Args:
        kind: The kind.

    Returns:
        Titles, and how to fill them.
    """
    convolution = _CONVOLUTIONS if kind.startswith("conv") else ()
    weighted = _WEIGHTED if kind.startswith("conv") or kind == "linear" else ()
    return *_NAMES, *convolution, *weighted, *_SOURCES


def summary(record: LayerRecord) -> str:
    """Take the first sentence of a layer's docstring.

    Args:
        record: Its record.

    Returns:
        The sentence.
    """
    paragraph = " ".join((inspect.getdoc(record.factory) or "").partition("\n\n")[0].split())
    sentence, stop, _ = paragraph.partition(". ")
    return sentence + stop.strip()


def page() -> str:
    """Make the page.

    Returns:
        Markdown that ends in a newline.
    """
    parts = [INTRODUCTION.format(example='conv2d("aoc", 64, 128, 3)')]
    parts += [_table(kind) for kind in KINDS if layers.available(kind)]
    return "\n".join(parts)


def _table(kind: Kind) -> str:
    chosen = columns(kind)
    rows = [[title for title, _ in chosen], ["---"] * len(chosen)]
    rows += [[fill(record) for _, fill in chosen] for record in layers.records(kind)]
    call = f"Built by `layers.{kind}(name, ...)`."
    return "\n".join([f"## {TITLES[kind]}", "", call, "", *(f"| {' | '.join(row)} |" for row in rows), ""])


def _yes(fact: bool) -> str:
    return "yes" if fact else "no"


if __name__ == "__main__":
    run("layers_page", PAGE, page)
