"""Atomic writes: whole or absent."""

import json
import os

import pytest

from onelip.experiments.files import (
    atomic_path,
    file_creation_mask,
    remove_partial_files,
    write_json_atomically,
    write_text_atomically,
)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("old")

    def fail_in_the_middle():
        with atomic_path(file) as temporary:
            temporary.write_text("half")
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        fail_in_the_middle()
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_the_file_appears_only_when_it_is_whole(tmp_path):
    file = tmp_path / "a.txt"
    with atomic_path(file) as temporary:
        temporary.write_text("whole")
        assert not file.exists()
    assert file.read_text() == "whole"


def test_permissions_follow_the_umask(tmp_path):
    write_text_atomically(tmp_path / "a.txt", "x")
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o666 & ~file_creation_mask()


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
