"""docs/supported-modules.md is what the table of modules gives."""

import pytest
from tools.module_table import GROUPS, REFUSED
from tools.modules_page import PAGE, page, refusal


def test_the_page_is_up_to_date():
    text = page()
    assert PAGE.read_text("utf-8") == text, "write it anew: python -m tools.modules_page --write"
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) > sum(map(len, GROUPS.values()))
    assert all(line.count(" | ") in (2, 3) for line in rows)


def test_what_is_bounded_has_no_reason():
    assert "jumps" in refusal(next(case for case in REFUSED if case.name == "Hardshrink"))
    with pytest.raises(ValueError, match="is bounded"):
        refusal(GROUPS["Activations"][0])
