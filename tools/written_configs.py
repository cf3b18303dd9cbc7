"""What the tools that write families of configurations share."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path


def write_configs(folder: Path, texts: Mapping[str, str], keep: Collection[str] = ()) -> None:
    """Write configurations, and remove those of the folder that are no longer among them.

    Args:
        folder: Made if there is none.
        texts: Of each file, by its name without the suffix.
        keep: Names of files that stand there too, and stay.
    """
    folder.mkdir(exist_ok=True)
    for file in folder.glob("*.yaml"):
        if file.stem not in texts and file.stem not in keep:
            file.unlink()
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    print(folder)
