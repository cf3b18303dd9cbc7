"""`onelip spectrum`: tables, files, and what a run keeps."""

import csv
import json

import pytest
import torch
from tests.experiments.small_run import small_run

from onelip.experiments.errors import UserError
from onelip.experiments.spectrum_command import FORMATS, show_spectrum

OWN = {"k": 1, "joint": False, "input_shape": "3,4,4", "weights": None, "format_name": None, "out": None}
CODE = """
from torch import nn
net = nn.Sequential(nn.Conv2d(3, 2, 2), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(18, 2))
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spectrum_nets.py").write_text(CODE)
    return "spectrum_nets:net"


def test_each_format_is_printed_alone(place, capsys):
    texts = {}
    for name in FORMATS:
        show_spectrum(place, **{**OWN, "format_name": name, "k": 2})
        texts[name] = capsys.readouterr().out
    assert texts["table"].startswith("name  kind")
    assert texts["md"].startswith("| name |")
    assert [row["name"] for row in csv.DictReader(texts["csv"].splitlines())] == ["0", "1", "3"]
    assert [len(row["values"]) for row in json.loads(texts["json"])["layers"]] == [2, 2, 2]


@pytest.mark.parametrize(
    ("out", "start"),
    [("a.csv", b"name,"), ("a.json", b"{"), ("a.md", b"| name"), ("a.txt", b"name  "), ("a.png", b"\x89PNG")],
)
def test_the_ending_of_a_file_says_what_is_written(place, out, start, tmp_path, capsys):
    show_spectrum(place, **{**OWN, "out": out, "joint": True})
    assert (tmp_path / out).read_bytes().startswith(start)
    assert capsys.readouterr().out == f"written: {out}\n"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"format_name": "jsn"}, "did you mean 'json'"),
        ({"format_name": "csv", "out": "a.png"}, "--format=csv does not go with a picture"),
        ({"out": "missing/a.csv"}, "missing: no such folder"),
        ({"out": "."}, ". cannot be written"),
        ({"input_shape": "4,4,4"}, "input_shape=(4, 4, 4) does not fit Sequential"),
    ],
)
def test_mistakes_are_one_sentence(place, options, sentence, tmp_path):
    with pytest.raises(UserError) as caught:
        show_spectrum(place, **{**OWN, **options})
    assert sentence in str(caught.value)
    assert not [p for p in tmp_path.iterdir() if p.suffix not in (".py", "")]


def test_a_run_keeps_its_spectrum(tmp_path, capsys):
    folder, model = small_run(tmp_path)
    show_spectrum(str(folder.path), **{**OWN, "input_shape": None})
    with (folder.path / "spectrum.csv").open() as file:
        rows = list(csv.DictReader(file))
    norms = [float(torch.linalg.svdvals(p.detach().double())[0]) for p in model.parameters() if p.dim() == 2]
    assert [float(row["sigma_1"]) for row in rows] == pytest.approx(norms, rel=1e-5)
    assert (folder.path / "spectrum.png").read_bytes().startswith(b"\x89PNG")
    written = [f"written: {folder.path / name}" for name in ("spectrum.csv", "spectrum.png")]
    assert capsys.readouterr().out.splitlines()[-2:] == written


def test_a_run_that_cannot_be_written_is_refused_first(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(UserError, match="cannot be written, and the command puts its results there"):
        show_spectrum(str(tmp_path), **{**OWN, "input_shape": None})
