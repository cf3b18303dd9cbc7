"""Run folders are new, whole and never shared."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest

from onelip.experiments import UserError, create_run_folder, latest_run, load_config, open_run_folder
from onelip.experiments.run_folder import run_folder_at

NOON = datetime(2026, 1, 2, 12, 0, 0)


@pytest.fixture
def config(tmp_path):
    return load_config("digits", [f"runs_dir={tmp_path / 'runs'}"])


def test_a_run_folder_holds_the_resolved_config(config, tmp_path):
    folder = create_run_folder(config, now=NOON)
    assert folder.path == tmp_path / "runs" / "digits" / "20260102-120000"
    assert folder.config() == config


def test_runs_of_the_same_second_get_folders_of_their_own(config):
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: create_run_folder(config, now=NOON).path, range(8)))
    assert len(set(folders)) == 8
    assert all((folder / "config.yaml").is_file() for folder in folders)
    assert sorted(p.name for p in folders[0].parent.iterdir()) == sorted(folder.name for folder in folders)


def test_the_latest_run_is_found_by_name(config, tmp_path):
    for hour in (3, 12, 7):
        create_run_folder(config, now=NOON.replace(hour=hour))
    newest = create_run_folder(config, now=NOON)
    assert latest_run("digits", tmp_path / "runs") == newest
    with pytest.raises(UserError, match="there is no run of 'cifar10'"):
        latest_run("cifar10", tmp_path / "runs")


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"it has no config\.yaml"):
        open_run_folder(tmp_path)


def test_a_file_in_place_of_the_folder_is_one_sentence(config, tmp_path):
    (tmp_path / "runs").write_text("in the way")
    with pytest.raises(UserError, match=r"runs"):
        create_run_folder(config)
    assert (tmp_path / "runs").read_text() == "in the way"


def test_a_refused_rename_leaves_no_draft(config, tmp_path, monkeypatch):
    def refuse(self, target):
        raise PermissionError(13, "Permission denied", str(target))

    monkeypatch.setattr("pathlib.Path.rename", refuse)
    with pytest.raises(UserError, match="permission denied"):
        create_run_folder(config)
    assert list((tmp_path / "runs" / "digits").iterdir()) == []


def test_a_folder_at_a_place_is_made_once_and_keeps_its_configuration(config, tmp_path):
    place = tmp_path / "sweep" / "search" / "0003"
    folder = run_folder_at(place, config)
    assert (folder.path, folder.config()) == (place, config)
    assert folder.last_checkpoint.parent.is_dir()
    again = run_folder_at(place, config.model_copy(update={"seed": 99}))
    assert again.config() == config
    assert [p.name for p in place.parent.iterdir()] == ["0003"]


def test_a_folder_that_holds_something_else_already_becomes_that_of_a_run(config, tmp_path):
    (tmp_path / "0000").mkdir()
    (tmp_path / "0000" / "error.txt").write_text("of a worker that died")
    assert run_folder_at(tmp_path / "0000", config).config() == config
    assert (tmp_path / "0000" / "error.txt").exists()


def test_a_place_that_cannot_be_written_is_one_sentence(config, tmp_path):
    (tmp_path / "search").write_text("in the way")
    with pytest.raises(UserError, match=r"search/0000.*not a directory"):
        run_folder_at(tmp_path / "search" / "0000", config)
