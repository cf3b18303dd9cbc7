"""docs/layers.md is what the registry says."""

import re

import pytest
from tools.layers_page import PAGE, TITLES, page, summary

from onelip import layers
from onelip.layers.registry import KINDS


def rows(kind):
    section = page().partition(f"## {TITLES[kind]}\n")[2].partition("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("| `")]


def test_the_page_is_up_to_date():
    assert PAGE.read_text("utf-8") == page(), "write it anew: python -m tools.layers_page --write"


@pytest.mark.parametrize("kind", KINDS)
def test_every_layer_has_a_row_of_as_many_cells(kind):
    found = rows(kind)
    assert [row.split("`")[1] for row in found] == list(layers.available(kind))
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in found}) <= 1


@pytest.mark.parametrize("record", layers.records(), ids=lambda r: f"{r.kind}-{r.name}")
def test_every_layer_says_what_it_is_in_one_sentence(record):
    text = summary(record)
    assert text.endswith((".", ":")) or len(text) > 20
    assert 15 < len(text) < 300
