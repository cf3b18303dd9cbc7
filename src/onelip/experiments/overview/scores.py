"""Scores of methods along several axes, read from a file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from onelip.experiments.errors import UserError, as_user_errors, one_line
from onelip.pictures import RadarPlot

_SHAPE = '{"axes": ["accuracy", ...], "series": {"aoc": [4.5, ...], ...}, "top": 5, "caption": ""}'


def read_scores(path: str | Path) -> RadarPlot:
    """Read what a radar plot shows.

    Args:
        path: A JSON file with "axes", their names, and "series", a list of scores for each method, null where one is
            missing; "top", the best score, is 5 and "caption" empty if not given.

    Returns:
        The plot.

    Raises:
        UserError: If the file cannot be read, or is not of this shape.
    """
    with as_user_errors():
        text = Path(path).read_text("utf-8")
    try:
        tree = json.loads(text)
        series = {str(name): tuple(map(_score, scores)) for name, scores in _mapping(tree["series"]).items()}
        axes = tuple(str(axis) for axis in tree["axes"])
        return RadarPlot(axes, series, float(tree.get("top", 5.0)), str(tree.get("caption", "")))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else one_line(str(error))
        raise UserError(f"{path} has no scores: {reason}; it should be {_SHAPE}") from error


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError('"series" is not a mapping of methods to scores')
    return value


def _score(value: Any) -> float:
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
        raise TypeError(f"a score is {value!r}, and should be a number or null")
    return math.nan if value is None else float(value)
