"""Configuration files: YAML 1.2 in, checked configurations out, and one sentence when something is wrong."""

from __future__ import annotations

import difflib
import io
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML

from onelip.experiments.config import ExperimentConfig
from onelip.experiments.config_common import RunConfig, SampledConfig
from onelip.experiments.config_distributions import distributions_in
from onelip.experiments.config_kinds import CLASSIFICATION, config_class
from onelip.experiments.config_source import CHOSEN_BY, as_mapping, parse_yaml, read_config_tree, set_by_name
from onelip.experiments.errors import UserError, as_user_errors, one_line
from onelip.linalg import unknown_name

C = TypeVar("C", bound=BaseModel)

_EXPECTED = {
    "model_type": "it must be a mapping of keys to values",
    "model_attributes_type": "it must be a mapping of keys to values",
    "tuple_type": "it must be a list",
    "too_short": "it must have at least one entry",
    "string_pattern_mismatch": "it must be letters, digits and . _ - only, and begin with a letter or digit",
}


def load_config(name_or_path: str, overrides: Sequence[str] = ()) -> ExperimentConfig:
    """Read the configuration of a classifier and change some of its keys.

    Args:
        name_or_path: A name from `available_configs()`, or the path of a YAML file.
        overrides: Changes such as "trainer.max_epochs=5", applied in order; values are YAML.

    Returns:
        The checked configuration.

    Raises:
        UserError: If there is no such file, something in it or in the changes is wrong, or it is of another task.
    """
    config = load_any_config(name_or_path, overrides)
    if not isinstance(config, ExperimentConfig):
        raise UserError(f"{name_or_path} has task={config.task}, and this is for task={CLASSIFICATION} only")
    return config


def load_any_config(name_or_path: str, overrides: Sequence[str] = ()) -> RunConfig:
    """Read a configuration of any task and change some of its keys.

    Args:
        name_or_path: As for `load_config`.
        overrides: As for `load_config`.

    Returns:
        The checked configuration, of the class that its key `task` says.

    Raises:
        UserError: If there is no such file, or something in it or in the changes is wrong.
    """
    tree = read_config_tree(name_or_path)
    for override in overrides:
        set_key(tree, *parse_override(override))
    return check_any_config(tree, name_or_path)


def check_any_config(tree: Mapping[str, Any], source: str = "the configuration") -> RunConfig:
    """Check keys, types and limits of the configuration of any task.

    Args:
        tree: The configuration as plain dicts, lists and scalars.
        source: What it is called in messages.

    Returns:
        The configuration.

    Raises:
        UserError: If something is wrong, or the tree is that of a sweep.
    """
    if "sweep" in tree:
        raise UserError(f"{source} is a sweep over configurations; run it with: onelip sweep {source}")
    with as_user_errors():
        for path, distribution in distributions_in(tree):
            raise UserError(f"{path} is drawn, by {distribution.tag}, which onelip sweep does; give it one value")
    return check_tree(config_class(tree), tree)


def check_config(tree: Mapping[str, Any]) -> ExperimentConfig:
    """Check keys, types and limits of the configuration of a classifier.

    Args:
        tree: The configuration as plain dicts, lists and scalars.

    Returns:
        The configuration.

    Raises:
        UserError: If something is wrong; the sentence has the key's path and value.
    """
    return check_tree(ExperimentConfig, tree)


def check_tree(kind: type[C], tree: Mapping[str, Any]) -> C:
    """Check keys, types and limits of a mapping.

    Args:
        kind: What it is to be.
        tree: Plain dicts, lists and scalars.

    Returns:
        The checked mapping.

    Raises:
        UserError: If something is wrong; the sentence has the key's path and value.
    """
    try:
        return kind.model_validate(_with_usual_names(kind, tree))
    except ValidationError as error:
        raise UserError(_sentence(kind, dict(error.errors()[0]))) from None


# Of these, files leave whole sections to their defaults; a change of one option then means the default's part.
def _with_usual_names(kind: type[BaseModel], tree: Mapping[str, Any]) -> dict[str, Any]:
    named = dict(tree)
    if not issubclass(kind, SampledConfig):
        return named
    for key, chooser in CHOSEN_BY.items():
        usual = getattr(kind.model_fields[key].default, chooser, None) if key in kind.model_fields else None
        section = named.get(key)
        if isinstance(section, Mapping) and chooser not in section and isinstance(usual, str):
            named[key] = {chooser: usual, **section}
    return named


def dump_config(config: RunConfig) -> str:
    """Write a configuration with every key spelled out.

    Args:
        config: The configuration.

    Returns:
        YAML text that `load_any_config` reads back to an equal configuration.
    """
    return "".join(_dumped(key, _Hashed(repr(value), value)) for key, value in config.resolved().items())


@dataclass(frozen=True)
class _Hashed:
    text: str
    value: Any = field(compare=False)


# Section by section, most of which are the same in all trials of a sweep.
@lru_cache(maxsize=256)
def _dumped(key: str, section: _Hashed) -> str:
    stream = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.dump({key: section.value}, stream)
    return stream.getvalue()


def parse_override(override: str) -> tuple[str, Any]:
    """Read a change such as "trainer.max_epochs=5", whose value is YAML.

    Args:
        override: The change.

    Returns:
        Path and value.

    Raises:
        UserError: If it is no change.
    """
    path, equals, text = override.partition("=")
    if not equals or not all(path.strip().split(".")):
        raise UserError(f"{override!r} is not a change of the configuration; write it as key.subkey=value")
    return path.strip(), parse_yaml(text, f"the value of {path}") if text.strip() else None


def set_key(tree: dict[str, Any], path: str, value: Any) -> None:
    """Change one key of a configuration; a part that is named anew has the options of its own.

    Args:
        tree: Changed in place, with copies of the sections on the way.
        path: Such as "trainer.max_epochs".
        value: What it becomes.
    """
    if isinstance(value, str) and path in ("data", *CHOSEN_BY):
        # Another data set keeps the batch size; another optimiser has options of its own.
        set_by_name(tree, path, value)
        return
    if path == "layer" and value != tree.get("layer"):
        tree.pop("layer_options", None)
    keys = path.split(".")
    node = tree
    for key in keys[:-1]:
        node[key] = as_mapping(key, node.get(key))
        node = node[key]
    node[keys[-1]] = value


def _sentence(root: type[BaseModel], error: dict[str, Any]) -> str:
    model, keys = _walk(root, error["loc"])
    path, value, kind = ".".join(keys), error["input"], error["type"]
    if kind == "value_error":
        return str(error["ctx"]["error"])
    if kind == "missing":
        return f"{path} is missing in the configuration; give it a value"
    if kind == "extra_forbidden":
        return _unknown_key(path, model, root)
    if kind == "union_tag_invalid":
        allowed = [tag.strip(" '") for tag in error["ctx"]["expected_tags"].split(",")]
        return unknown_name(path, str(error["ctx"]["tag"]), allowed)
    if kind == "union_tag_not_found":
        return f"{path}={value!r} in the configuration has no name; write {path}=NAME or {path}.name=NAME"
    expected = _EXPECTED.get(kind) or one_line(error["msg"]).replace("Input should", "it must")
    return f"{path}={value!r} in the configuration is not allowed; {expected}"


# Follows an error's location to the section that holds its last key; the tags of unions are no keys.
def _walk(root: type[BaseModel], location: Sequence[str | int]) -> tuple[type[BaseModel], list[str]]:
    model = root
    owner, keys, choices = model, list[str](), dict[str, type[BaseModel]]()
    for item in location:
        if isinstance(item, int):
            keys[-1] += f"[{item}]"
        elif item in choices:
            model, choices = choices[item], {}
        else:
            owner = model
            keys.append(item)
            choices = _sections(model, item)
            if len(choices) == 1:
                (model,), choices = choices.values(), {}
    return owner, keys


# The sections that may stand under a key, by the name that chooses among them if there are several.
def _sections(model: type[BaseModel], key: str) -> dict[str, type[BaseModel]]:
    if key not in model.model_fields:
        return {}
    annotation = model.model_fields[key].annotation
    candidates = [annotation, *typing.get_args(annotation)]
    found = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
    if len(found) > 1:
        return {str(typing.get_args(c.model_fields["name"].annotation)[0]): c for c in found}
    return dict.fromkeys(("",), found[0]) if found else {}


def _unknown_key(path: str, owner: type[BaseModel], root: type[BaseModel]) -> str:
    prefix, _, key = path.rpartition(".")
    siblings = {name: f"{prefix}.{name}" if prefix else name for name in owner.model_fields}
    close = difflib.get_close_matches(key, siblings, n=1)
    if close:
        return f"configuration key {path!r} is unknown; did you mean {siblings[close[0]]!r}?"
    elsewhere = [full for full in _all_keys(root) if full.rpartition(".")[2] == key]
    if path in elsewhere:
        return f"configuration key {path!r} does not belong to this {prefix}, whose keys are {', '.join(siblings)}"
    if elsewhere:
        return f"configuration key {path!r} is unknown; did you mean {elsewhere[0]!r}?"
    return unknown_name("configuration key", path, siblings.values())


def _all_keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    keys = []
    for name in model.model_fields:
        keys.append(prefix + name)
        for section in _sections(model, name).values():
            keys += _all_keys(section, f"{prefix}{name}.")
    return sorted(set(keys))
