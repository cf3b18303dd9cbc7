"""`onelip data`: what is here, what is in it, and one sentence for what is wrong."""

import numpy as np
import pytest
from tests.data.idx import write_idx
from tests.data.pictures import write_classes

from onelip import data
from onelip.data import cifar10, mnist
from onelip.experiments.data_command import show_data
from onelip.experiments.errors import UserError


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")


def show(name=None, *, dir=None, options=(), decode=False):
    show_data(name, dir=None if dir is None else str(dir), options=options, decode=decode)


def listed(capsys):
    show()
    *rows, last = capsys.readouterr().out.splitlines()[1:]
    assert last.startswith("downloads are kept in ")
    return {row.split()[0]: row.split(maxsplit=1)[1] for row in rows}


def test_all_data_sets_are_listed_with_whether_they_are_here(tmp_path, capsys):
    before = listed(capsys)
    assert set(before) == set(data.available())
    assert before["digits"].startswith("in onelip ")
    assert before["arrays"].startswith("--dir ")
    assert all(before[name].startswith("not here ") for name in ("cifar10", "mnist", "svhn"))
    home = tmp_path / "cache" / "onelip"
    for file in (*mnist.MNIST.kept[:3], *(f"{cifar10.FOLDER}/{name}" for name in cifar10.TRAIN_FILES)):
        (home / file).parent.mkdir(parents=True, exist_ok=True)
        (home / file).touch()
    # One file is missing of each.
    assert listed(capsys) == before
    (home / mnist.MNIST.kept[3]).touch()
    assert listed(capsys) == {**before, "mnist": before["mnist"].replace("not here", "here    ")}


def test_what_is_in_a_data_set_is_shown(capsys):
    show("digits")
    lines = capsys.readouterr().out.splitlines()
    digits = data.load("digits")
    assert lines[1:3] == ["files: packed in onelip", "1x8x8 pixels, 10 classes, in memory"]
    pixels = digits.train.pixels().double()
    counts = digits.train.labels.bincount().tolist()
    assert lines[4].split() == [
        "train", "1,438", str(min(counts)), f"({np.argmin(counts)})", "to", str(max(counts)), f"({np.argmax(counts)})",
        f"{pixels.mean():.4f}", f"{pixels.std(correction=0):.4f}",
    ]  # fmt: skip
    balance = {row.split()[0]: row.split()[1:] for row in lines[7:]}
    assert balance == {
        str(c): [str(part.labels.tolist().count(c)) for part in (digits.train, digits.test)] for c in range(10)
    }


def test_files_of_ones_own_are_read_from_their_folder(tmp_path, capsys):
    write_idx(tmp_path, 20, 10)
    show("idx", dir=tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == f"files: {tmp_path}"
    assert lines[4].split()[:4] == ["train", "20", "2", "each"]


def test_files_in_the_cache_are_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(mnist, "N_TRAIN", 20)
    monkeypatch.setattr(mnist, "N_TEST", 10)
    home = tmp_path / "cache" / "onelip" / "mnist"
    home.mkdir(parents=True)
    write_idx(home, 20, 10)
    show("mnist")
    assert f"files: {home}" in capsys.readouterr().out


def test_images_on_disk_are_all_decoded_only_if_asked(tmp_path, capsys):
    for part in ("train", "test"):
        write_classes(tmp_path / part, [f"c{i:02}" for i in range(21)], 1)
    options = ["size=8", "resize=9", "threads=1"]
    show("folder-stream", dir=tmp_path, options=options, decode=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == "3x8x8 pixels, 21 classes, streamed from disk"
    # More than twenty classes have no rows.
    assert lines[-1] == "mean and deviation are estimated from 1,024 images"
    loaded = data.load("folder-stream", tmp_path, size=8, resize=9)
    assert lines[5].split()[-6:-3] == [f"{value:.4f}" for value in loaded.test.channel_mean()]
    path = tmp_path / "test" / "c03" / "c03_0.JPEG"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(UserError, match=r"c03_0.JPEG cannot be read as an image; replace or remove it"):
        show("folder-stream", dir=tmp_path, options=options, decode=True)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"dir": "here"}, "--dir, --decode and options are for one data set; give its name first"),
        ({"decode": True}, "are for one data set"),
        ({"name": "digitz"}, "data set 'digitz' is unknown; did you mean 'digits'"),
        ({"name": "digits", "dir": "here"}, "dir='here' has no effect on data set 'digits'"),
        ({"name": "digits", "options": ["size=3"]}, "size=3 is not an option of data set 'digits'"),
        ({"name": "digits", "options": ["size"]}, "'size' is not an option of a data set; write it as key=value"),
        ({"name": "digits", "decode": True}, "--decode is for images that are streamed from disk; those of digits are"),
        ({"name": "mnist", "dir": "nowhere"}, "dir='nowhere' is not a folder; mnist needs one with train-images"),
        ({"name": "stl10", "options": ["fold=10"]}, "fold=10 of data set 'stl10' must be an integer in 0..9"),
        ({"name": "arrays"}, "dir=None for data set 'arrays'; say where its files are"),
    ],
)
def test_each_mistake_is_one_sentence(arguments, sentence):
    with pytest.raises(UserError, match=sentence):
        show(**arguments)
