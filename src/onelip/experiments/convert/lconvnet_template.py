"""Templates of LConvNet: keys such as `net|large` stand for alternatives, all combinations of which are experiments."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from onelip.experiments.convert.conversion import Conversion
from onelip.experiments.convert.lconvnet import convert_lconvnet
from onelip.experiments.convert.marked import Marked

_BAR = "|"
_SEED = "seed"


def has_variants(marked: Marked) -> bool:
    """Is a file a template?

    Args:
        marked: What it holds.

    Returns:
        The answer.
    """
    if isinstance(marked.value, dict):
        return any(_BAR in key or has_variants(item) for key, item in marked.value.items())
    return isinstance(marked.value, list) and any(has_variants(item) for item in marked.value)


def convert_template(marked: Marked) -> Conversion:
    """Convert a template into a sweep over all its experiments.

    Args:
        marked: What it holds.

    Returns:
        The sweep: a factor `seed` for variants of the seed, and one for all others, whose levels are named by them.

    Raises:
        UserError: If one of the experiments cannot be converted, or two have one name.
    """
    seeds = [int(item.number(_SEED)) for key, item in marked.value.items() if key.startswith(_SEED + _BAR)]
    rest = {key: item for key, item in marked.value.items() if not key.startswith(_SEED + _BAR)}
    if seeds:
        rest[_SEED] = Marked(seeds[0], marked.where)
    levels: dict[str, Conversion] = {}
    for labels, experiment in _experiments(replace(marked, value=rest)):
        name = "-".join(labels) or "all"
        if name in levels:
            raise marked.refuse(f"two experiments have the variants {name}; give them other names")
        levels[name] = convert_lconvnet(experiment)
    return _sweep(levels, seeds)


def _experiments(marked: Marked) -> Iterator[tuple[tuple[str, ...], Marked]]:
    if isinstance(marked.value, list):
        for items in itertools.product(*(list(_experiments(item)) for item in marked.value)):
            labels = tuple(label for found, _ in items for label in found)
            yield labels, replace(marked, value=[item for _, item in items])
        return
    if not isinstance(marked.value, dict):
        yield (), marked
        return
    for choice in itertools.product(*_alternatives(marked.value).values()):
        labels = tuple(label for _, found, _ in choice for label in found)
        yield labels, replace(marked, value={key: item for key, _, item in choice})


def _alternatives(items: dict[str, Marked]) -> dict[str, list[tuple[str, tuple[str, ...], Marked]]]:
    found: dict[str, list[tuple[str, tuple[str, ...], Marked]]] = {}
    for full, item in items.items():
        key, bar, label = full.partition(_BAR)
        own = (label,) if bar else ()
        found.setdefault(key, []).extend((key, own + labels, inner) for labels, inner in _experiments(item))
    return found


def _sweep(levels: dict[str, Conversion], seeds: list[int]) -> Conversion:
    first = next(iter(levels.values()))
    out = Conversion(dict(first.tree), list(dict.fromkeys(note for c in levels.values() for note in c.notes)))
    changing = [
        key for key in _keys(levels) if key != "name" and len({repr(c.tree.get(key)) for c in levels.values()}) > 1
    ]
    factors: dict[str, Any] = {}
    if changing:
        factors["variant"] = {name: {key: c.tree.get(key) for key in changing} for name, c in levels.items()}
        for changes in factors["variant"].values():
            # A key that an experiment has not is at its default.
            changes.update({key: {} for key in ("layer_options",) if key in changing and changes[key] is None})
    if len(seeds) > 1:
        factors[_SEED] = seeds
    out.tree["name"] = f"lconvnet-{_about(first)}"
    out.tree["sweep"] = {"search": "grid", "factors": factors}
    return out


def _keys(levels: dict[str, Conversion]) -> list[str]:
    return list(dict.fromkeys(key for conversion in levels.values() for key in conversion.tree))


def _about(conversion: Conversion) -> str:
    if "data" in conversion.tree:
        return str(conversion.tree["data"]["name"])
    return str(conversion.tree["q"]["set"])
