"""docs/configurations.md is what the files say, and every published recipe says what it aims at."""

import re

import pytest
from tools.configurations_page import ABOUT, KEYS, PAGE, TITLES, command, notes, page, shipped_notes

from onelip.experiments import available_configs
from onelip.experiments.config_source import config_families

PUBLISHED = [
    (family, name) for family in ("records", "orthogonium", "layers_compared") for name in config_families()[family]
]


def test_the_page_is_up_to_date():
    assert PAGE.read_text("utf-8") == page(), "write it anew: python -m tools.configurations_page --write"


def test_every_family_has_a_section_and_every_configuration_a_row():
    assert set(TITLES) == set(config_families())
    assert set(ABOUT) <= set(TITLES)
    rows = set(re.findall(r"^\| `onelip train ([\w-]+)", PAGE.read_text("utf-8"), re.MULTILINE))
    cells = set(available_configs()) - rows
    assert cells
    assert all(name.startswith("clipping-") for name in cells)


@pytest.mark.parametrize(("family", "name"), PUBLISHED)
def test_published_recipes_say_what_they_aim_at_and_what_it_costs(family, name):
    found = shipped_notes(family, name)
    assert {"Published", "Source", "GPU-hours"} <= set(found) <= {"summary", *KEYS}
    assert re.match(
        r"(\d+(\.\d)? clean, \d+(\.\d)?( / \d+\.\d)* certified at 36.*over 255|none.*)$", found["Published"]
    )
    assert re.search(r"arXiv:\d{4}\.\d{5}|deel-ai/", found["Source"])
    assert re.match(r"not published|\d", found["GPU-hours"])
    assert found["summary"].endswith(".")


def test_notes_run_over_lines_and_end_with_the_comment():
    text = "# One\n# two.\n# Published: 1 clean\n#   more\n# Source: here: there\nname: x\n# Differs: no note\n"
    assert notes(text) == {"summary": "One two.", "Published": "1 clean more", "Source": "here: there"}


def test_commands_have_what_cannot_be_left_out():
    assert command("cifar10-record") == "`onelip train cifar10-record`"
    assert command("imagenet-record") == "`onelip train imagenet-record data.dir=PATH`"
    assert command("cifar10-record-edm") == "`onelip train cifar10-record-edm data.generated.path=FILE`"
