"""Which folders are runs."""

import pytest

from onelip.experiments import UserError
from onelip.experiments.collection.finding import find_runs


def _run(folder, name="config.yaml"):
    folder.mkdir(parents=True)
    (folder / name).write_text("")
    return folder


def test_runs_are_found_at_any_depth_once_and_sorted(tmp_path):
    runs = [_run(tmp_path / "b" / "2"), _run(tmp_path / "a"), _run(tmp_path / "b" / "1", "trial.json")]
    (tmp_path / "b" / "sweep.yaml").write_text("")
    assert find_runs([tmp_path, tmp_path / "b", runs[0]]) == sorted(runs)


def test_runs_inside_of_runs_hidden_folders_and_links_are_none(tmp_path):
    run = _run(tmp_path / "run")
    _run(run / "checkpoints")
    _run(tmp_path / ".new-run")
    (tmp_path / "link").symlink_to(run)
    assert find_runs([tmp_path]) == [run]
    assert find_runs([run]) == [run]


def test_nothing_to_find_is_a_mistake(tmp_path):
    with pytest.raises(UserError, match=r"there is no run in .*; a run is a folder with a config\.yaml"):
        find_runs([tmp_path])
    with pytest.raises(UserError, match="there is no run in no folder"):
        find_runs([])
    with pytest.raises(UserError, match="nowhere is no folder"):
        find_runs([tmp_path / "nowhere"])
