"""Do templates and the shipped configurations agree?"""

from __future__ import annotations

import fnmatch
import functools

from tests.experiments.collection.made_runs import make_row

from onelip.experiments.config_source import available_configs
from onelip.experiments.tables.grid import Slot
from onelip.experiments.tables.templates import TEMPLATES, Inputs


def slots_of(name, inputs=None):
    """List the slots of a template with their labels."""
    found = []
    for spec in TEMPLATES[name].build(inputs or Inputs([])):
        for (r, c), slot in spec.slots.items():
            if isinstance(slot, Slot):
                found.append((spec.rows[r], spec.columns[c], slot))
    return found


@functools.cache
def names():
    """List the shipped configurations."""
    return frozenset(available_configs())


def shipped(patterns):
    """List the shipped configurations that some patterns fit."""
    return sorted(name for name in names() if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns))


def check_runs_are_told_apart(name, among):
    """Check that each slot takes the runs of its own configuration, and of no other one among some."""
    rows = {config: make_row(config) for config in among}
    checked = 0
    for _, _, slot in slots_of(name):
        if slot.absent or slot.given is not None:
            continue
        config, *changes = slot.needs.split()
        row = make_row(config, *changes) if changes else rows.get(config)
        if row is None:
            continue
        assert slot.matches(row), slot.needs
        others = [other for other, one in rows.items() if slot.matches(one) and other != config]
        assert others == [], slot.needs
        checked += 1
    return checked
