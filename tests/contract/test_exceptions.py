"""An exception in a record must name a promise, give a reason, and still be needed."""

from __future__ import annotations

import pytest
import tests.contract.promises  # noqa: F401  (fills the table)
from tests.contract.cases import all_records
from tests.contract.promise import PROMISES

from onelip.layers import LayerRecord

MOST = 6
"""More exceptions than this in the whole registry means that the contract, not the layer, needs work."""

_EXCEPTED = [
    pytest.param(record, name, id=f"{record.kind}-{record.name}-{name}")
    for record in all_records()
    for name in record.exceptions
]


@pytest.mark.parametrize(("record", "name"), _EXCEPTED)
def test_exception_is_needed(record: LayerRecord, name: str) -> None:
    assert name in PROMISES, f"{record.name} is excepted from {name!r}, which is not a promise"
    assert len(record.exceptions[name].split()) >= 4, f"{record.name} gives no reason for its exception from {name}"
    cases = PROMISES[name].cases_of(record)
    assert any(_breaks(name, case) for case in cases), f"{record.name} keeps {name}; remove the exception"


def _breaks(name, case) -> bool:  # type: ignore[no-untyped-def]
    try:
        PROMISES[name].check(case)
    except Exception:
        return True
    return False


def test_exceptions_are_few() -> None:
    assert len(_EXCEPTED) <= MOST
