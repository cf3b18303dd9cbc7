"""How numbers are written."""

import pytest

from onelip.experiments.tables.numbers import number_text, summary_text
from onelip.experiments.tables.summary import Summary


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (71.256, 1, "71.3"), (71.254, 2, "71.25"), (0.0, None, "0"), (0.06, None, "0.06"), (1234.56, None, "1235"),
        (123456.7, None, "123457"), (1.5e9, None, "1.500e+09"), (1.234567e-5, None, "1.235e-05"), (4.0, 0, "4"),
    ],
)  # fmt: skip
def test_numbers(value, decimals, text):
    assert number_text(value, decimals) == text
    assert float(text) == pytest.approx(value, rel=1e-3, abs=0.06)


def test_summaries():
    assert summary_text(Summary(3, 71.25, 0.125), 2) == "71.25 ± 0.12"
    assert summary_text(Summary(1, 71.25, None), 1) == "71.2"
    assert summary_text(Summary(2, 1.0, 0.5), None, "+-") == "1 +- 0.5"
