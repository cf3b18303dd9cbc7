import pytest

from onelip.experiments import UserError
from onelip.experiments.bench import budget_command
from onelip.experiments.bench.budget_command import bench_budget
from onelip.experiments.bench.budgets import read_budgets
from onelip.experiments.bench.epoch_time import EpochTime
from onelip.experiments.bench.own_process import OwnProcessError
from onelip.experiments.errors import CommandFailedError
from onelip.experiments.training import StoppedError

OPTIONS = {"sizes": None, "methods": None, "data": None, "hours": 0.5, "steps": 7, "seconds": 2.0}


@pytest.fixture
def measured(monkeypatch):
    """An epoch of 100 seconds of everything but AOL."""
    configs = []

    def measure(function, config, *arguments):
        configs.append((config.name, arguments[:2]))
        if getattr(config, "layer", "") == "aol":
            raise OwnProcessError("the process was killed, most likely for want of memory")
        return EpochTime(1.0, 90, 4.0, 12.0, 2, "A machine", made_up=config.data.name != "digits")

    monkeypatch.setattr(budget_command, "in_own_process", measure)
    return configs


def test_epochs_that_fit_are_written_and_printed(measured, tmp_path, capsys):
    path = tmp_path / "budgets.yaml"
    bench_budget(["digits", "layers-compared-xs-ao[c]", "trainer.threads=1"], **OPTIONS, out=str(path))
    assert measured == [("digits", (7, 2.0)), ("layers-compared-xs-aoc", (7, 2.0))]
    rows = read_budgets(path)["A machine"]
    assert list(rows) == ["digits trainer.threads=1", "layers-compared-xs-aoc trainer.threads=1"]
    row = rows["layers-compared-xs-aoc trainer.threads=1"]
    assert (row["seconds_per_epoch"], row["epochs"], row["hours"], row["made_up_data"]) == (100.0, 18, 0.5, True)
    output, error = capsys.readouterr()
    assert "1/2 digits trainer.threads=1: 100 s per epoch, 18 epochs in 0.5 h\n" in error
    lines = output.splitlines()
    assert lines[0].split() == ["configuration", "s", "per", "epoch", "steps", "s", "per", "step", "epochs"]
    assert lines[1].split() == ["digits", "trainer.threads=1", "100", "90", "1", "18"]
    assert lines[2].endswith("made-up images")


def test_failures_are_rows_and_the_exit_code(measured, tmp_path, capsys):
    path = tmp_path / "budgets.yaml"
    family = {**OPTIONS, "sizes": "xs", "methods": "aoc,aol"}
    with pytest.raises(CommandFailedError, match=r"^1 of 2 configurations failed: layers-compared-xs-aol$") as caught:
        bench_budget([], **family, out=str(path))
    assert caught.value.exit_code == 1
    ((_, failed),) = [item for rows in read_budgets(path).values() for item in rows.items() if "error" in item[1]]
    assert failed["error"] == "the process was killed, most likely for want of memory"
    assert "epochs" not in failed
    # An epoch that takes longer than the time has its seconds all the same.
    with pytest.raises(CommandFailedError, match="1 of 1"):
        bench_budget(["digits"], **{**OPTIONS, "hours": 0.02}, out=str(path))
    row = read_budgets(path)["A machine"]["digits"]
    assert row["error"] == "one epoch takes 100 seconds, longer than the budget of 72"
    assert row["seconds_per_epoch"] == 100.0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no configuration is named"),
        (["digits", "digit"], "did you mean 'digits'"),
        (["digits", "x=1"], "key 'x'|x"),
    ],
)
def test_mistakes_are_found_before_anything_is_measured(measured, tmp_path, words, message):
    with pytest.raises(UserError, match=message):
        bench_budget(words, **OPTIONS, out=str(tmp_path / "budgets.yaml"))
    assert measured == []
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_something_else_is_found_before_anything_is_measured(measured, tmp_path):
    path = tmp_path / "budgets.yaml"
    path.write_text("name: digits\n")
    with pytest.raises(UserError, match="is no file of budgets"):
        bench_budget(["digits"], **OPTIONS, out=str(path))
    with pytest.raises(UserError, match="no such folder"):
        bench_budget(["digits"], **OPTIONS, out=str(tmp_path / "nowhere" / "budgets.yaml"))
    assert measured == []


def test_a_signal_ends_the_command_with_its_exit_code(tmp_path, monkeypatch):
    def stop(*arguments):
        raise StoppedError(15)

    monkeypatch.setattr(budget_command, "in_own_process", stop)
    with pytest.raises(CommandFailedError, match="stopped; what was measured before is kept") as caught:
        bench_budget(["digits"], **OPTIONS, out=str(tmp_path / "budgets.yaml"))
    assert caught.value.exit_code == 128 + 15


def test_a_configuration_is_measured_in_a_process_of_its_own(tmp_path):
    path = tmp_path / "budgets.yaml"
    small = ["trainer.threads=1", "model.widths=[16]", "layer=plain", "trainer.accelerator=cpu"]
    bench_budget(["digits", *small], **OPTIONS, out=str(path))
    ((row,),) = [list(rows.values()) for rows in read_budgets(path).values()]
    assert row["steps_per_epoch"] == 11
    assert row["epochs"] == int(1800 / row["seconds_per_epoch"])
