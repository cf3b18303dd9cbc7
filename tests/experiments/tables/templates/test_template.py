"""All templates, whatever they show."""

import fnmatch
import re
from pathlib import Path

import pytest
from tests.experiments.tables.templates.shipped import names, shipped, slots_of

from onelip.experiments.tables.grid import Slot
from onelip.experiments.tables.templates import TEMPLATES, Inputs

PAPERS = ("lconvnet-1", "lconvnet-2", "lconvnet-3", "lconvnet-4", "lconvnet-7", "lconvnet-8", "lconvnet-9")


def test_the_tables_of_the_papers_are_there():
    wanted = {
        *PAPERS, "layers-compared-accuracy", "layers-compared-cra", "layers-compared-budgets", "layers-compared-9",
        "layers-compared-10", "layers-compared-11", "layers-compared-theory", "layers-compared-radar", "lnets-w1",
        "lnets-classification", "lnets-small-mnist", "fastclip-accuracy", "fastclip-attack", "fastclip-norms",
        "orthogonium-cifar10",
    }  # fmt: skip
    assert set(TEMPLATES) == wanted


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_is_whole(name):
    template = TEMPLATES[name]
    assert template.name == name
    assert all(shipped([pattern]) for pattern in template.needs)
    for spec in template.build(Inputs([])):
        assert all(len(row) == len(spec.corner) for row in spec.rows)
        assert len({len(column) for column in spec.columns}) == 1
        assert len(set(spec.columns)) == len(spec.columns)
        assert len(set(spec.rows)) == len(spec.rows)
        assert {r for r, _ in spec.slots} <= set(range(len(spec.rows)))
        assert {c for _, c in spec.slots} <= set(range(len(spec.columns)))
        stated = any(isinstance(slot, Slot) and slot.published for slot in spec.slots.values())
        assert stated == bool(spec.published)


@pytest.mark.parametrize("name", [name for name, one in TEMPLATES.items() if one.needs and "radar" not in name])
def test_what_is_missing_is_named_as_what_users_can_train(name):
    for _, _, slot in slots_of(name):
        if not slot.absent:
            config = slot.needs.split()[0]
            assert config in names()
            assert any(fnmatch.fnmatchcase(config, pattern) for pattern in TEMPLATES[name].needs)


def test_the_page_lists_every_template():
    page = (Path(__file__).parents[4] / "docs" / "tables.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\S+)` \| (.*?) \| (.*?) \|$", page, re.MULTILINE)
    assert [name for name, *_ in rows] == list(TEMPLATES)
    for name, summary, needs in rows:
        one = TEMPLATES[name]
        assert summary == one.summary + ("; also as a figure" if one.figure else "")
        assert needs.removesuffix("; measurements") == (", ".join(f"`{need}`" for need in one.needs) or "none")
        assert needs.endswith("; measurements") == one.measured
