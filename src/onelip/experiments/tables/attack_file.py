"""Numbers of an attack that `results.json` leaves out."""

from __future__ import annotations

import json
from collections.abc import Callable

from onelip.experiments.collection import RunRow


def clean_on_attacked(attack: str, norm: str) -> Callable[[RunRow], float | None]:
    """Make what reads the accuracy on the images that an attack was given, which may be few.

    Args:
        attack: Its name.
        norm: Its norm.

    Returns:
        A function of a run; None where the run has no file of the attack.
    """

    def read(row: RunRow) -> float | None:
        for name in (f"attack-{attack}-{norm}.json", "attack.json"):
            try:
                found = json.loads((row.folder / name).read_text("utf-8"))
                if (found["attack"], found["norm"]) == (attack, norm):
                    return float(found["clean_on_same"])
            except (OSError, ValueError, KeyError, TypeError):
                # As good as not attacked.
                continue
        return None

    return read
