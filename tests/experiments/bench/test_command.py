"""The command from its options to a table or a file."""

import json

import pytest

from onelip import layers
from onelip.experiments import UserError
from onelip.experiments.bench import bench_layers, command

OPTIONS = {
    "kind": "linear", "methods": "qr, bjorck", "channels": 4, "kernel": None, "size": None, "batch": 2,
    "device": "cpu", "repeats": 1, "format_name": "table", "out": None,
}  # fmt: skip


def test_the_table_is_printed(capsys):
    bench_layers(**OPTIONS)
    output, errors = capsys.readouterr()
    assert [line.split()[0] for line in output.splitlines()[4:7]] == ["plain", "qr", "bjorck"]
    assert errors == ""


def test_a_file_is_written_whole(tmp_path, capsys):
    path = tmp_path / "bench.json"
    bench_layers(**OPTIONS | {"format_name": "json", "out": str(path)})
    assert [row["method"] for row in json.loads(path.read_text())["rows"]] == ["plain", "qr", "bjorck"]
    assert capsys.readouterr().out == f"written: {path}\n"
    assert list(tmp_path.iterdir()) == [path]


def test_all_methods_of_a_kind_are_the_default(monkeypatch, capsys):
    seen = []
    monkeypatch.setattr(command, "measure", lambda setup, progress: seen.append(setup) or [])
    monkeypatch.setitem(command.FORMATS, "table", lambda setup, rows: "")
    bench_layers(**OPTIONS | {"kind": "conv2d", "methods": None})
    assert seen[0].methods == layers.available("conv2d")
    assert (seen[0].kernel, seen[0].size) == (3, 32)
    bench_layers(**OPTIONS | {"kind": "conv2d", "methods": "aoc", "kernel": 5, "size": 16})
    assert (seen[1].kernel, seen[1].size) == (5, 16)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"kind": "conv"}, "kind 'conv' is unknown; did you mean 'conv"),
        ({"methods": "qr,bjork"}, "linear layer 'bjork' is unknown; did you mean 'bjorck'"),
        ({"format_name": "xml"}, "format 'xml' is unknown"),
        ({"device": "gpu"}, "device='gpu' is unknown; use 'cpu' or 'cuda'"),
        ({"size": 8}, "size=8 has no meaning for kind='linear'"),
        ({"kernel": 3}, "kernel=3 has no meaning for kind='linear'"),
        ({"kind": "conv2d", "methods": "aoc", "kernel": 2}, "kernel=2 must be odd"),
        ({"out": "nowhere/bench.md"}, "nowhere: no such folder"),
        ({"out": "."}, "cannot be written"),
    ],
)
def test_mistakes_are_refused_before_any_work(changes, sentence, monkeypatch):
    monkeypatch.setattr(command, "measure", None)
    with pytest.raises(UserError, match=sentence):
        bench_layers(**OPTIONS | changes)
