"""The command `onelip tables`."""

import sys

import pytest
from tests.experiments.collection.made_runs import certified_results, make_run

from onelip.cli import main


@pytest.fixture
def onelip(tmp_path, monkeypatch, capsys):
    """Run `onelip tables` in a folder with two runs; return the exit code, standard output and standard error."""
    for seed, accuracy in enumerate((0.5, 0.75)):
        results = certified_results(accuracy, {"0.141176": accuracy / 2})
        make_run(tmp_path / "runs" / str(seed), "lconvnet-cifar10-small-bcop", f"seed={seed}", results=results)
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["onelip", "tables", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        return (caught.value.code or 0, *capsys.readouterr())

    return run


def test_options_reach_the_table(onelip, tmp_path):
    code, out, error = onelip("runs", "--rows", "layer", "--columns", "data", "--value", "certified@36/255")
    assert (code, error) == (0, "")
    assert "| bcop | 31.25 ± 8.84 |" in out
    code, out, _ = onelip("runs", "--template", "lconvnet-1", "--no-published", "--out", "table.tex")
    assert (code, out) == (0, "written: table.tex\n")
    assert "62.50 $\\pm$ 17.68" in (tmp_path / "table.tex").read_text()
    code, out, _ = onelip("runs", "--format", "csv")
    assert out.startswith("table,row,column,unit,n,mean,deviation,best,missing,text,published")


def test_the_list_needs_no_runs(onelip):
    code, out, _ = onelip("--list")
    assert code == 0
    assert "layers-compared-radar\n" in out


def test_measurements_are_read(onelip):
    code, _, error = onelip("--template", "layers-compared-budgets", "--measurements", "costs.csv")
    assert (code, error.startswith("onelip: costs.csv: there are no measurements")) == (2, True)


def test_a_mistake_is_one_line(onelip):
    assert onelip() == (2, "", "onelip: onelip tables needs folders of runs, such as: onelip tables runs; or --list\n")
    code, _, error = onelip("runs", "--template", "lconvnet-5")
    assert code == 2
    assert error.startswith("onelip: template 'lconvnet-5' is unknown; did you mean 'lconvnet-")
