"""Networks of the user's own: imported from their code, with the weights in a file of theirs."""

from __future__ import annotations

import importlib
import inspect
import os
import pickle
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from onelip.experiments.errors import UserError, as_user_errors

_NAMED = 3
"""How many names of weights a message lists."""


def build_own_network(place: str) -> nn.Module:
    """Import a network, or build it with an imported function; the current folder is importable.

    What the user's code raises is theirs to see, traceback included.

    Args:
        place: "package.module:name"; the name may have dots, and is that of an `nn.Module` or of a callable without
            required arguments that gives one.

    Returns:
        The network.

    Raises:
        UserError: If it cannot be found, or is not a network.
    """
    module_name, _, name = place.partition(":")
    if not re.fullmatch(r"[\w.]+:[\w.]+", place):
        raise UserError(f"{place!r} must be package.module:factory, such as my_models.resnet:build")
    with _current_folder_importable():
        found = _attribute(_import(module_name), module_name, name)
        network = found if isinstance(found, nn.Module) else _called(found, place)
    if not isinstance(network, nn.Module):
        raise UserError(f"{place} gives {type(network).__name__}; it must be or give an nn.Module")
    return network


def load_own_weights(network: nn.Module, path: Path) -> None:
    """Load weights strictly: every name and shape must be the network's.

    Args:
        network: Changed in place.
        path: A `.safetensors` file, or one that torch.save wrote (`.pt`, `.pth`, `.ckpt`), of which nothing is run; in
            a dictionary with the key `state_dict`, what is under it.

    Raises:
        UserError: If the file is missing or broken, or its weights are not the network's.
    """
    weights = read_weights(path)
    own = network.state_dict()
    problems = [
        *_listed("lacks", own.keys() - weights.keys()),
        *_listed("has unknown", weights.keys() - own.keys()),
        *_listed("has in another shape", {n for n in own.keys() & weights.keys() if own[n].shape != weights[n].shape}),
    ]
    if problems:
        raise UserError(f"{path} does not fit {type(network).__name__}: it {' and '.join(problems)}")
    network.load_state_dict(weights)


def parse_shape(text: str) -> tuple[int, ...]:
    """Read the shape of one input.

    Args:
        text: Such as "3,32,32" or "3x32x32".

    Returns:
        The shape.

    Raises:
        UserError: If it is none.
    """
    if not re.fullmatch(r"[1-9]\d*([,x][1-9]\d*)*", text):
        raise UserError(f"--input-shape={text} must be positive whole numbers with commas, such as 3,32,32")
    return tuple(int(n) for n in re.split("[,x]", text))


@contextmanager
def _current_folder_importable() -> Iterator[None]:
    folder = os.getcwd()
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # One that the user's module imports is told as well, by its own name.
        of = "" if name.startswith(str(error.name)) else f", which {name} imports"
        raise UserError(f"there is no module {error.name!r}{of}; looked in {os.getcwd()} and on the path") from error


def _attribute(module: Any, module_name: str, name: str) -> Any:
    try:
        return attrgetter(name)(module)
    except AttributeError:
        raise UserError(f"{module_name} has no {name!r}") from None


def _called(found: Any, place: str) -> Any:
    if not callable(found):
        raise UserError(f"{place} is {type(found).__name__}; it must be or give an nn.Module")
    try:
        inspect.signature(found).bind()
    except TypeError as error:
        raise UserError(f"{place} must be callable without arguments: {error}") from None
    except ValueError:
        # Some builtins do not tell their arguments.
        pass
    return found()


def read_weights(path: Path) -> Mapping[str, Tensor]:
    """Read a file of weights, of which nothing is run.

    Args:
        path: A `.safetensors` file, or one that torch.save wrote.

    Returns:
        Tensors by name; those under the key `state_dict`, if there is one.

    Raises:
        UserError: If the file is missing or broken, or holds something else.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        with as_user_errors():
            if path.suffix == ".safetensors":
                return load_file(path)
            weights = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise UserError(f"{path} is not a whole file of weights that can be read without running code") from error
    if isinstance(weights, dict) and isinstance(weights.get("state_dict"), dict):
        weights = weights["state_dict"]
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise UserError(f"{path} must hold a dictionary of tensors, as model.state_dict() gives")
    return weights


def _listed(verb: str, names: set[str]) -> list[str]:
    first = sorted(names)[:_NAMED]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return [f"{verb} {', '.join(first)}{more}"] if names else []
