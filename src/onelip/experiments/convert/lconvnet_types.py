"""The types of LConvNet's files."""

from __future__ import annotations

from collections.abc import Collection

from onelip.experiments.convert.marked import Section


def kind_of(section: Section, allowed: Collection[str]) -> str:
    """Read the type of an object.

    Args:
        section: The object.
        allowed: The types that it may have.

    Returns:
        Its type.

    Raises:
        UserError: If it has none, or another one.
    """
    section.get("<init>")
    return section.need("<type>").one_of(f"<type> of {section.path or 'the file'}", allowed)
