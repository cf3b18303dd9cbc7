"""Every registered layer keeps every promise, in every state (design contract).

pytest tests/contract -k never_stale          one promise, all layers
pytest tests/contract -k conv2d-aoc           one layer, all promises
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import tests.contract.promises  # noqa: F401  (fills the table)
from tests.contract.cases import Case, all_records, first_case, grid_cases, refusal
from tests.contract.promise import PROMISES, Promise
from tests.contract.promises.arguments import assert_sentence
from tests.seeding import seed

from onelip.layers import LayerRecord

# Torch warns once per process that it copies the input of a zero-padded even kernel.
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")


RECORDS = all_records()
IDS = [f"{record.kind}-{record.name}" for record in RECORDS]


def _pairs() -> list[pytest.ParameterSet]:
    return [
        pytest.param(promise, record, id=f"{promise.name}-{name}", marks=[pytest.mark.slow] if promise.slow else [])
        for record, name in zip(RECORDS, IDS, strict=True)
        for promise in PROMISES.values()
        if record.kind in promise.kinds and promise.name not in record.exceptions
    ]


def _check_each(check: Callable[[Case], None], cases: list[Case]) -> None:
    # One test for all cases of a record, since pytest's own work for a test is more than most of them take.
    broken = []
    for case in cases:
        seed(0)
        try:
            check(case)
        except Exception as error:
            error.add_note(f"on {case.name}")
            broken.append(error)
    if broken:
        raise ExceptionGroup(f"{len(broken)} of {len(cases)} cases", broken)


@pytest.mark.parametrize(("promise", "record"), _pairs())
def test_promise(promise: Promise, record: LayerRecord) -> None:
    cases = promise.cases_of(record)
    assert cases, f"{promise.name} is checked on nothing"
    _check_each(promise.check, cases)


def test_every_broken_case_is_named() -> None:
    cases = grid_cases(RECORDS[0])

    def check(case: Case) -> None:
        assert case is cases[1], "broken"

    with pytest.raises(ExceptionGroup, match=f"{len(cases) - 1} of {len(cases)} cases") as caught:
        _check_each(check, cases)
    notes = [note for error in caught.value.exceptions for note in error.__notes__]
    assert notes == [f"on {case.name}" for case in cases if case is not cases[1]]


@pytest.mark.parametrize("record", [r for r in RECORDS if grid_cases(r)], ids=lambda r: f"{r.kind}-{r.name}")
def test_refusals_are_sentences(record: LayerRecord) -> None:
    """A combination of arguments either works (the promises above measure it) or is refused by name and value."""

    def check(case: Case) -> None:
        text = refusal(case)
        if text is not None:
            assert_sentence(case, text)

    _check_each(check, grid_cases(record))


@pytest.mark.parametrize("record", RECORDS, ids=IDS)
def test_plainest_case_is_not_refused(record: LayerRecord) -> None:
    first_case(record).build()


def test_registry_is_not_empty() -> None:
    assert RECORDS, "no layer is registered, so this suite checks nothing"
