import dataclasses

import pytest

from onelip.experiments import UserError
from onelip.experiments.bench import measure_command
from onelip.experiments.bench.measure_command import Effort, bench_measure
from onelip.experiments.bench.measurements import Measurement, read_measurements
from onelip.experiments.errors import CommandFailedError

OPTIONS = {
    "models": "convnet-xs, convnet-s",
    "methods": "plain,aoc",
    "device": "cpu",
    "batch": 3,
    "image": 32,
    "classes": 10,
    "effort": Effort(4, 5.0),
    "format_name": "md",
}


@pytest.fixture
def measured(monkeypatch):
    """Cells that would have been measured; convnet-s of aoc fails."""
    cells = []

    def measure(cell):
        cells.append(cell)
        failed = (cell.model, cell.method) == ("convnet-s", "aoc")
        numbers = {"error": "training: no"} if failed else {"train_seconds": 0.5, "eval_seconds": 0.25}
        return Measurement(
            "m", "cpu", "0", "d", cell.model, cell.method, cell.batch, cell.image, cell.classes, **numbers
        )

    monkeypatch.setattr(measure_command, "measure_network", measure)
    return cells


def test_each_network_is_a_row_and_a_failed_one_the_exit_code(measured, tmp_path, capsys):
    path = tmp_path / "table.csv"
    with pytest.raises(CommandFailedError, match=r"^1 of 4 networks failed: convnet-s aoc$") as caught:
        bench_measure(**OPTIONS, out=str(path))
    assert caught.value.exit_code == 1
    assert [(cell.model, cell.method) for cell in measured] == [
        ("convnet-xs", "plain"),
        ("convnet-xs", "aoc"),
        ("convnet-s", "plain"),
        ("convnet-s", "aoc"),
    ]
    assert {(cell.batch, cell.image, cell.classes, cell.steps, cell.seconds) for cell in measured} == {
        (3, 32, 10, 4, 5.0)
    }
    assert [row.error for row in read_measurements(path)] == ["", "", "", "training: no"]
    output, error = capsys.readouterr()
    assert output.startswith("on m, onelip 0")
    assert "2/4 convnet-xs aoc: 0.5 s a step, 0.25 s an evaluation\n" in error
    assert "4/4 convnet-s aoc: training: no\n" in error


def test_rows_are_kept_as_they_come(measured, tmp_path, monkeypatch):
    path, real = tmp_path / "table.csv", measure_command.measure_network

    def interrupted(cell):
        if len(measured) == 2:
            raise KeyboardInterrupt
        return real(cell)

    monkeypatch.setattr(measure_command, "measure_network", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bench_measure(**OPTIONS, out=str(path))
    assert len(read_measurements(path)) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_name": "yaml"}, "format 'yaml' is unknown"),
        ({"models": "convnet-xx"}, "model 'convnet-xx' is unknown"),
        ({"methods": "aoc,nope"}, "method 'nope' is unknown"),
    ],
)
def test_mistakes_are_found_before_anything_is_measured(measured, tmp_path, change, message):
    with pytest.raises(UserError, match=message):
        bench_measure(**{**OPTIONS, **change}, out=str(tmp_path / "table.csv"))
    assert measured == []
    assert list(tmp_path.iterdir()) == []


def test_another_table_is_found_before_anything_is_measured(measured, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("a,b\n")
    with pytest.raises(UserError, match="not the header"):
        bench_measure(**OPTIONS, out=str(path))
    assert measured == []


def test_effort_is_immutable():
    with pytest.raises(dataclasses.FrozenInstanceError):
        OPTIONS["effort"].steps = 3
