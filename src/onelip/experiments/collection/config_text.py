"""Single values of a configuration file, without reading the rest of it: a thousandth of the time for many runs."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

from onelip.experiments.config_source import parse_yaml
from onelip.experiments.errors import UserError

_KEY = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*):(?: |$)")

_NUMBER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*: (-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)")
"""Which most runs have of their own, so that reading one is not to be slow; all YAML agrees on these."""


class ConfigText:
    """The text of a `config.yaml`.

    The lines of a value are cut out and read as YAML alone, and what was read once is kept, as most runs share most of
    their lines. A file in another style than that of `dump_config` is read as a whole.

    Args:
        text: YAML.
        source: What it is called in messages.
    """

    def __init__(self, text: str, source: str) -> None:
        self._text, self._source = text, source
        self._whole: Mapping[str, Any] | None = None
        self._top = _entries(text)

    def get(self, first: str, *inner: str) -> Any:
        """Read one value.

        Args:
            first: The outermost key on the way to it.
            inner: The keys inside of that.

        Returns:
            The value; None if it is null or not there.

        Raises:
            UserError: If the file is not YAML.
        """
        return self._find(self._top, (first, *inner), 0)

    def _find(self, entries: dict[str, str] | None, keys: tuple[str, ...], depth: int) -> Any:
        if entries is None:
            return self._from_whole(keys)
        if keys[depth] not in entries:
            return None
        entry = entries[keys[depth]]
        if depth == len(keys) - 1 or _stands_beside(entry):
            return self._value(entry, keys, depth)
        return self._find(_inner(entry), keys, depth + 1)

    def _value(self, entry: str, keys: tuple[str, ...], depth: int) -> Any:
        if (number := _NUMBER.fullmatch(entry.rstrip("\n"))) is not None:
            return float(number[1]) if set(number[1]) & set(".eE") else int(number[1])
        try:
            return _inside(_read(entry), keys[depth:])
        except UserError:
            # An alias, say, of something that stands elsewhere.
            return self._from_whole(keys)

    def _from_whole(self, keys: tuple[str, ...]) -> Any:
        if self._whole is None:
            tree = parse_yaml(self._text, self._source)
            if not isinstance(tree, Mapping):
                raise UserError(f"{self._source} is not a mapping of keys to values")
            self._whole = tree
        return _inside(self._whole, keys)


@functools.lru_cache(maxsize=65536)
def _read(entry: str) -> Any:
    return parse_yaml(entry, "an entry")


# The lines of each key of a mapping in block style; None for any other text.
def _entries(text: str) -> dict[str, str] | None:
    entries: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if line[:1] in (" ", "-", "#", "") and (lines or line[:1] in ("#", "")):
            lines.append(line)
            continue
        match = _KEY.match(line)
        if match is None or match[1] in entries:
            return None
        lines = entries[match[1]] = [line]
    return {key: "\n".join([*lines, ""]) for key, lines in entries.items()} if entries else None


def _stands_beside(entry: str) -> bool:
    return bool(entry[: entry.find("\n")].partition(":")[2].strip())


# The entries of what stands below a key, moved to the margin.
@functools.lru_cache(maxsize=4096)
def _inner(entry: str) -> dict[str, str] | None:
    lines = entry.splitlines()[1:]
    indent = len(lines[0]) - len(lines[0].lstrip(" ")) if lines else 0
    if any(line[:indent].strip() for line in lines):
        return None
    return _entries("\n".join(line[indent:] for line in lines))


def _inside(value: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
