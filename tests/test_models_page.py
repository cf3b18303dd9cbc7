"""docs/models.md is what the registry says."""

import re

from tools.models_page import PAGE, SIZES, Size, count, page

from onelip import models


def test_the_page_is_up_to_date():
    assert PAGE.read_text("utf-8") == page(), "write it anew: python -m tools.models_page --write"


def test_every_architecture_has_a_row_of_as_many_cells():
    rows = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == [*models.available(), *(size.model for size in SIZES)]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {7}


def test_parameters_are_counted():
    # 8x8 pixels to 10 features to 3 logits.
    assert count(Size("mlp", "", (1, 8, 8), 3, "", "", {"widths": [10], "layer": "plain"})) == 65 * 10 + 11 * 3
