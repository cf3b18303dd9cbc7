"""No tampered network yields a certified sample that an attack flips, and the checker confirms what it yields."""

import pytest
from tests.attacks.corpus import TAMPERS, cases, outcome

CASES = dict(cases())
# Every tampering of one network, and some of the others; `python -m tests.attacks.corpus` runs them all.
SINGLE = ("subnormal-layer", "all-tinier", "bias-and-back-1e15", "underflow-overflow", "tied")


def chosen(name: str) -> bool:
    tampered = any(name.endswith(f"-{kind}") for kind in TAMPERS)
    return not tampered or name.startswith("maxmin-") or any(name.endswith(f"-{kind}") for kind in SINGLE)


@pytest.mark.parametrize("name", [name for name in CASES if chosen(name)])
def test_tampered_networks_are_refused_or_stand(name, tmp_path):
    assert outcome(CASES[name](), tmp_path) in ("refused", "nothing certified", "certified")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("maxmin-untouched", "certified"),
        ("maxmin-tiny-huge", "certified"),
        ("maxmin-row-nan", "refused"),
        ("maxmin-bias-minus-inf", "refused"),
        ("maxmin-all-subnormal", "nothing certified"),
        ("conv-variance-subnormal", "refused"),
        ("scale-1e+39", "refused"),
    ],
)
def test_the_corpus_has_cases_of_every_outcome(name, expected, tmp_path):
    assert outcome(CASES[name](), tmp_path) == expected
