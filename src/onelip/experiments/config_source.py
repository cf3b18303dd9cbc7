"""Where configurations are read from: shipped ones by name, files by path, each on top of its `base`."""

from __future__ import annotations

import copy
import difflib
import functools
from collections.abc import Callable, Iterable, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import SequenceNode

from onelip.experiments.config_distributions import TAGS, Distribution, read_distribution
from onelip.experiments.errors import UserError, as_user_errors, one_line
from onelip.linalg import unknown_name

CHOSEN_BY = {
    "model": "name",
    "loss": "name",
    "optimizer": "name",
    "schedule": "name",
    "clipping": "method",
    "critic": "name",
    "generator": "name",
    "p": "name",
    "q": "name",
}
"""Sections whose other keys belong to the part that is named there, with the key that names it."""

_SHARED = {"clipping": ("max_norm", "batch_norm", "check_every"), "critic": ("model",)}
"""Keys of these sections that are not the part's own, and stay when another part is named."""


SWEEPS = "sweeps"
"""The folder of the sweeps among the configurations that come with the package."""


def available_configs() -> dict[str, str]:
    """List the configurations that come with the package.

    Returns:
        The first comment line of each, by name.
    """
    return _first_lines(_shipped())


def available_sweeps() -> dict[str, str]:
    """List the sweeps that come with the package.

    Returns:
        The first comment line of each, by name.
    """
    return _first_lines(_shipped_sweeps())


def config_families() -> dict[str, tuple[str, ...]]:
    """Group the shipped configurations by the folder that they are in.

    Returns:
        Names, sorted, by folder; those that are in none by "".
    """
    families: dict[str, tuple[str, ...]] = {"": ()}
    for name, file in _shipped().items():
        folder = Path(str(file)).parent.name
        key = "" if folder == "configs" else folder
        families[key] = (*families.get(key, ()), name)
    return families


def read_config_tree(name_or_path: str) -> dict[str, Any]:
    """Read a configuration, merged into its base and that into its own.

    A file may say `base: NAME`, a shipped configuration, or `base: PATH.yaml`, a file beside it. Mappings are merged
    key by key and everything else replaces what the base says; so does a section that names another part than the base
    does, whose options are not those of its own.

    Args:
        name_or_path: A name from `available_configs()`, or the path of a YAML file.

    Returns:
        Plain dicts, lists and scalars, without the key `base`.

    Raises:
        UserError: If there is no such file, it is not a YAML mapping, or it is a base of itself.
    """
    return _read_with_bases(name_or_path, _shipped())[0]


def read_sweep_tree(name_or_path: str) -> tuple[dict[str, Any], str | None]:
    """Read a sweep, merged into its base as a configuration is.

    Args:
        name_or_path: A name from `available_sweeps()`, or the path of a YAML file.

    Returns:
        The tree; and the base that is still to be merged, if its name has factors in braces, such as
        "layers-compared-{size}-{method}".

    Raises:
        UserError: If there is no such file, or something about it is wrong.
    """
    return _read_with_bases(name_or_path, {**_shipped(), **_shipped_sweeps()})


def _read_with_bases(name_or_path: str, shipped: Mapping[str, Traversable]) -> tuple[dict[str, Any], str | None]:
    tree: dict[str, Any] = {}
    read: list[str] = []
    wanted: str | None = name_or_path
    while wanted is not None and "{" not in wanted:
        file, source = _find(wanted, read, shipped)
        if source in read:
            raise UserError(f"base={wanted} in {read[-1]} leads back to itself, by way of {', '.join(read)}")
        read.append(source)
        # The nearer file wins.
        layer = _read(file, source)
        base = layer.pop("base", None)
        tree = merge_trees(layer, tree)
        if base is not None and not isinstance(base, str):
            raise UserError(f"base={base!r} in {source} must be the name or the path of a configuration")
        wanted = _beside(file, base)
    return tree, wanted


def set_by_name(tree: dict[str, Any], section: str, name: str) -> None:
    """Name another part in a section, whose options are then its own defaults.

    A critic that is named as it was keeps its options.

    Args:
        tree: The configuration, changed in place.
        section: "data", whose other keys stay, or a key of `CHOSEN_BY`.
        name: The part.
    """
    old = as_mapping(section, tree.get(section))
    if section == "critic" and old.get("name") == name:
        return
    kept = old if section not in CHOSEN_BY else {key: old[key] for key in _SHARED.get(section, ()) if key in old}
    tree[section] = {**kept, **as_mapping(section, name)}


def merge_trees(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Put one configuration on top of another.

    Args:
        base: What is kept where the changes say nothing.
        changes: What wins.

    Returns:
        A new tree.
    """
    merged = dict(base)
    if changes.get("layer", base.get("layer")) != base.get("layer"):
        # Those of another method.
        merged.pop("layer_options", None)
    for key, value in changes.items():
        merged[key] = _merged(key, merged.get(key), value)
    return merged


def parse_yaml(text: str, source: str) -> Any:
    """Read YAML 1.2.

    Args:
        text: The text.
        source: What it is called in messages.

    Returns:
        Plain dicts, lists and scalars, and the distributions that are tagged in it.

    Raises:
        UserError: If it is not YAML, or has a tag that is not known.
    """
    return copy.deepcopy(_parse_once(text, source))


# A base is read again with each configuration above it, and a sweep's with each trial: 10 ms in pure Python.
@functools.lru_cache(maxsize=1024)
def _parse_once(text: str, source: str) -> Any:
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _Constructor
    try:
        return yaml.load(text)
    except MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f", line {error.problem_mark.line + 1}"
        raise UserError(f"{source}{line}: {one_line(str(error.problem))}") from None
    except YAMLError as error:
        raise UserError(f"{source}: {one_line(str(error))}") from None


def as_mapping(key: str, value: Any) -> dict[str, Any]:
    """Write a section out that may be given by the name of its part alone.

    Args:
        key: The section.
        value: A name, a mapping, or anything else, which counts as empty.

    Returns:
        A new mapping.
    """
    if isinstance(value, str):
        return {CHOSEN_BY.get(key, "name"): value}
    return dict(value) if isinstance(value, Mapping) else {}


class _Constructor(SafeConstructor):
    """Of plain values and distributions; any other tag is refused."""

    def distribution(self, node: Any) -> Distribution:
        """Read a tagged list.

        Args:
            node: The list.

        Returns:
            The distribution.

        Raises:
            MarkedYAMLError: If the tag is not known, or the list does not fit.
        """
        if node.tag not in TAGS:
            raise MarkedYAMLError(problem=unknown_name("tag", str(node.tag), TAGS), problem_mark=node.start_mark)
        items = self.construct_sequence(node, deep=True) if isinstance(node, SequenceNode) else []
        try:
            return read_distribution(str(node.tag), items)
        except ValueError as error:
            raise MarkedYAMLError(problem=str(error), problem_mark=node.start_mark) from None


_Constructor.add_constructor(None, _Constructor.distribution)


def _merged(key: str, old: Any, new: Any) -> Any:
    by_name = key in CHOSEN_BY or key == "data"
    if by_name and isinstance(new, str):
        new = as_mapping(key, new)
    if by_name and isinstance(old, str):
        old = as_mapping(key, old)
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return new
    chosen_by = CHOSEN_BY.get(key)
    if chosen_by is not None and new.get(chosen_by, old.get(chosen_by)) != old.get(chosen_by):
        old = {name: value for name, value in old.items() if name in _SHARED.get(key, ())}
    return merge_trees(old, new)


def _shipped() -> dict[str, Traversable]:
    return _files_in(lambda folder: folder != SWEEPS)


def _files_in(wanted: Callable[[str], bool]) -> dict[str, Traversable]:
    top = resources.files("onelip.configs")
    folders = [top, *(f for f in top.iterdir() if f.is_dir())]
    folders = [f for f in folders if wanted("" if f is top else f.name)]
    found = (f for folder in folders for f in folder.iterdir() if f.name.endswith(".yaml"))
    return dict(sorted(((f.name.removesuffix(".yaml"), f) for f in found), key=lambda item: item[0]))


def _shipped_sweeps() -> dict[str, Traversable]:
    return _files_in(lambda folder: folder == SWEEPS)


def _first_lines(found: Mapping[str, Traversable]) -> dict[str, str]:
    return {name: file.read_text("utf-8").partition("\n")[0].lstrip("# ") for name, file in found.items()}


def _find(name_or_path: str, read: list[str], shipped: Mapping[str, Traversable]) -> tuple[Traversable, str]:
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        return path, str(path)
    if name_or_path not in shipped:
        where = f"base of {read[-1]}: " if read else ""
        raise UserError(where + _unknown(name_or_path, shipped))
    return shipped[name_or_path], name_or_path


# There are hundreds, so that without a near one the sentence names the command that lists them.
def _unknown(name: str, names: Iterable[str]) -> str:
    if difflib.get_close_matches(name, names, n=1, cutoff=0.5):
        return unknown_name("configuration", name, names)
    return f"configuration {name!r} is unknown; their names are printed by: onelip list configs"


# A path is meant from the folder of the file that names it.
def _beside(file: Traversable, base: str | None) -> str | None:
    if base is None or (Path(base).suffix not in (".yaml", ".yml") and len(Path(base).parts) == 1):
        return base
    return str(Path(str(file)).parent / base)


def _read(file: Traversable, source: str) -> dict[str, Any]:
    with as_user_errors():
        text = file.read_text("utf-8")
    tree = parse_yaml(text, source)
    if not isinstance(tree, dict):
        raise UserError(f"{source} holds {type(tree).__name__}; a configuration is a mapping of keys to values")
    return tree
