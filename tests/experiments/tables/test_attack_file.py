"""Numbers in the files of attacks."""

import json

import pytest
from tests.experiments.collection.made_runs import make_row

from onelip.experiments.tables.attack_file import clean_on_attacked

FOUND = {"attack": "boundary", "norm": "l2", "clean_on_same": 0.75}


@pytest.mark.parametrize("name", ["attack-boundary-l2.json", "attack.json"])
def test_the_accuracy_on_the_attacked_images(tmp_path, name):
    (tmp_path / name).write_text(json.dumps(FOUND))
    assert clean_on_attacked("boundary", "l2")(make_row("digits", folder=tmp_path)) == 0.75
    assert clean_on_attacked("pgd", "l2")(make_row("digits", folder=tmp_path)) is None


@pytest.mark.parametrize("text", ["{", "[]", '{"attack": "boundary", "norm": "l2"}'])
def test_a_broken_file_counts_for_nothing(tmp_path, text):
    (tmp_path / "attack.json").write_text(text)
    assert clean_on_attacked("boundary", "l2")(make_row("digits", folder=tmp_path)) is None
