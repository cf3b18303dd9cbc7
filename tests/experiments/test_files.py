"""What the files of a run may hold, and what a killed process leaves."""

import json

import pytest

from onelip.experiments.files import remove_partial_files, write_json_atomically


def test_json_refuses_what_json_has_not(tmp_path):
    write_json_atomically(tmp_path / "a.json", {"b": [1.5, None]})
    assert json.loads((tmp_path / "a.json").read_text()) == {"b": [1.5, None]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json_atomically(tmp_path / "a.json", float("nan"))


def test_leftovers_of_a_killed_process_are_removed_and_nothing_else(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    keep = [tmp_path / "a.txt", tmp_path / ".hidden", tmp_path / "checkpoints" / "last.ckpt"]
    for file in [*keep, tmp_path / "checkpoints" / ".last.ckpt.partial-abc", tmp_path / ".a.txt.partial-x"]:
        file.touch()
    remove_partial_files(tmp_path)
    assert sorted(p for p in tmp_path.rglob("*") if p.is_file()) == sorted(keep)
