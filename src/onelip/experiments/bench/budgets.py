"""The file of budgets: how long an epoch of each configuration takes on each machine, and how many fit into a time."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from ruamel.yaml import YAML

from onelip.experiments.config_source import parse_yaml
from onelip.experiments.errors import UserError, as_user_errors
from onelip.experiments.file_lock import locked
from onelip.experiments.files import write_text_atomically

Row: TypeAlias = Mapping[str, Any]
"""What is known of a configuration: `seconds_per_epoch` and `epochs` in so many `hours`, or its `error`."""

_KEY = "machines"


def read_budgets(path: str | Path) -> dict[str, dict[str, Row]]:
    """Read a file of budgets.

    Args:
        path: The file.

    Returns:
        Rows by configuration, with its changes as they were typed, by machine; none if there is no such file.

    Raises:
        UserError: If the file holds something else.
    """
    path = Path(path)
    if not path.exists():
        return {}
    with as_user_errors():
        tree = parse_yaml(path.read_text("utf-8"), str(path))
    machines = tree.get(_KEY) if isinstance(tree, dict) and [*tree] == [_KEY] else None
    if not isinstance(machines, dict) or not all(_is_table(rows) for rows in machines.values()):
        raise UserError(f"{path} is no file of budgets, whose one key is {_KEY!r}; name another file")
    return machines


def write_budget(path: Path, machine: str, configuration: str, row: Row) -> None:
    """Put a row into a file of budgets, in one step; all other rows stay, also those of other machines.

    Args:
        path: The file; made if it is not there.
        machine: What was measured on.
        configuration: What was measured, with its changes.
        row: What is known of it.

    Raises:
        UserError: If the file holds something else.
    """
    with locked(path):
        machines = read_budgets(path)
        machines.setdefault(machine, {})[configuration] = dict(row)
        text = io.StringIO()
        yaml = YAML(typ="safe", pure=True)
        yaml.default_flow_style = False
        yaml.width = 10**6
        yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
        yaml.dump({_KEY: machines}, text)
        write_text_atomically(path, text.getvalue())


def _is_table(rows: Any) -> bool:
    return isinstance(rows, dict) and all(isinstance(row, dict) for row in rows.values())
