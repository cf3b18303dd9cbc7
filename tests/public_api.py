"""The public surface of the package as text, one name and signature a line.

`tests/public_api.txt` holds the accepted surface. After a deliberate change, and a line in CHANGELOG.md, write it anew:

    python -m tests.public_api --write
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import onelip

SNAPSHOT = Path(__file__).with_name("public_api.txt")


def packages() -> list[ModuleType]:
    """`onelip` and every `onelip.<package>` or public `onelip.<module>` with an `__all__`."""
    names = [name for _, name, _ in pkgutil.iter_modules(onelip.__path__) if not name.startswith("_")]
    modules = [onelip, *(importlib.import_module(f"onelip.{name}") for name in names)]
    return [module for module in modules if hasattr(module, "__all__")]


def _signature(value: Any) -> str:
    if not callable(value):
        return f": {type(value).__name__}"
    if hasattr(value, "model_fields"):
        # A pydantic model's signature prints differently from version to version; its fields are what users see.
        return f"({', '.join(value.model_fields)})"
    try:
        text = str(inspect.signature(value))
    except (TypeError, ValueError):
        return "(...)"
    # Addresses of objects, and what depends on torch's or Python's version.
    return re.sub(r" at 0x[0-9a-f]+", "", text)


def surface() -> list[str]:
    """One line for each public name, sorted by package."""
    lines = []
    for module in packages():
        for name in sorted(module.__all__):
            value = getattr(module, name)
            kind = "class " if inspect.isclass(value) else "def " if callable(value) else ""
            lines.append(f"{module.__name__}: {kind}{name}{_signature(value)}")
    return lines


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python -m tests.public_api --write")
    SNAPSHOT.write_text("\n".join(surface()) + "\n", encoding="utf-8")
