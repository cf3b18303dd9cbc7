"""`onelip sweep`: its options arrive, and its exit codes are those of what it does."""

import sys

import pytest

from onelip.cli import main
from onelip.experiments.errors import CommandFailedError, UserError
from onelip.experiments.sweep.executors import Options

WHOLE = (
    "--stage final --workers 3 --executor slurm --storage journal:x --resource partition=gpu --resource gres=a=b --wait"
)


@pytest.fixture
def onelip(tmp_path, monkeypatch, capsys):
    """Run the command in an empty folder with a stand-in for its work; exit code, what it was given, and errors."""
    monkeypatch.chdir(tmp_path)
    given = []

    def run(*arguments, raised=None):
        def work(*told):
            given.append(told)
            if raised is not None:
                raise raised

        monkeypatch.setattr("onelip.experiments.sweep.command.sweep", work)
        monkeypatch.setattr(sys, "argv", ["onelip", "sweep", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        return caught.value.code or 0, given, capsys.readouterr().err

    return run


def test_without_options_all_is_as_usual(onelip):
    assert onelip("digits-methods")[:2] == (0, [("digits-methods", [], Options())])


def test_options_arrive(onelip):
    code, given, _ = onelip("x.yaml", "sweep.trials=4", "seed=!choice [1, 2]", *WHOLE.split())
    resources = {"partition": "gpu", "gres": "a=b"}
    expected = Options("final", "slurm", 3, "journal:x", None, resources, wait=True)
    assert (code, given) == (0, [("x.yaml", ["sweep.trials=4", "seed=!choice [1, 2]"], expected)])
    for flag in ("dry_run", "status", "retry_failed"):
        given.clear()
        onelip("x", f"--{flag.replace('_', '-')}")
        assert given[0][2] == Options(**{flag: True})
    given.clear()
    onelip("x", "--executor", "ray", "--ray-address", "auto")
    assert given[0][2] == Options(executor="ray", address="auto")


@pytest.mark.parametrize(
    ("raised", "code", "error"),
    [
        (UserError("no such sweep"), 2, "onelip: no such sweep\n"),
        (CommandFailedError("no trial has ended well", 1), 1, "onelip: no trial has ended well\n"),
        (
            CommandFailedError("stopped; go on with: onelip sweep runs/x", 130),
            130,
            "onelip: stopped; go on with: onelip sweep runs/x\n",
        ),
    ],
    ids=["mistake", "no result", "ctrl-c"],
)
def test_exit_codes_and_sentences(onelip, raised, code, error):
    given_code, _, printed = onelip("x", raised=raised)
    assert (given_code, printed) == (code, error)


@pytest.mark.parametrize("resource", ["gpus", "=1"])
def test_a_resource_is_a_key_and_a_value(onelip, resource):
    code, given, error = onelip("x", "--resource", resource)
    assert (code, given) == (2, [])
    assert error == f"onelip: --resource {resource} must be KEY=VALUE, such as partition=gpu\n"


def test_no_workers_are_refused(onelip):
    code, given, _ = onelip("x", "--workers", "0")
    assert (code, given) == (2, [])
