"""Atomic writes: whole or absent."""

import os

import pytest

from onelip.files import atomic_path, file_creation_mask, new_path, write_text_atomically


@pytest.mark.parametrize("write", [atomic_path, new_path])
def test_a_failed_write_leaves_nothing(tmp_path, write):
    def fail_in_the_middle():
        with write(tmp_path / "a.txt") as temporary:
            temporary.write_text("half")
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        fail_in_the_middle()
    assert os.listdir(tmp_path) == []


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


@pytest.mark.parametrize("write", [atomic_path, new_path])
def test_the_file_appears_only_when_it_is_whole(tmp_path, write):
    file = tmp_path / "a.txt"
    with write(file) as temporary:
        temporary.write_text("whole")
        assert not file.exists()
    assert file.read_text() == "whole"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_new_file_never_takes_the_place_of_another(tmp_path):
    file = tmp_path / "a.txt"

    def overtaken():
        with new_path(file) as temporary:
            temporary.write_text("new")
            file.write_text("appeared meanwhile")

    for _ in range(2):
        with pytest.raises(FileExistsError, match=r"a\.txt exists and is not overwritten"):
            overtaken()
    assert file.read_text() == "appeared meanwhile"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_permissions_follow_the_umask(tmp_path):
    write_text_atomically(tmp_path / "a.txt", "x")
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o666 & ~file_creation_mask()
