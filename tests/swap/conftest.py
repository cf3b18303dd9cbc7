"""A method that takes no groups, whatever the registered ones do."""

from __future__ import annotations

import pytest

from onelip.layers import LayerRecord, registry


class Refusing:
    """Refuses everything."""

    def __init__(self, *sizes, groups, **options):
        raise ValueError(f"groups={groups} in Refusing must be 1")


@pytest.fixture
def refusing(monkeypatch) -> str:
    """Register `Refusing` for the length of a test, and return its name."""
    record = LayerRecord("conv2d", "refusing", Refusing, False, ("zeros", "circular"), False, True, "", "")
    monkeypatch.setitem(registry._RECORDS, ("conv2d", "refusing"), record)
    return "refusing"
