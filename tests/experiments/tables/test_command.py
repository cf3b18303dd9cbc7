"""From folders of runs to a table."""

import json
import statistics

import pytest
from tests.experiments.collection.made_runs import certified_results, make_run
from tests.experiments.tables.test_latex import check_latex

from onelip.experiments import UserError
from onelip.experiments.tables import command, list_templates, make_tables
from onelip.experiments.tables.formats import FORMATS
from onelip.experiments.tables.templates import TEMPLATES

ACCURACIES = {"bcop": [0.64, 0.66, 0.61], "rko": [0.6, 0.62]}


@pytest.fixture
def runs(tmp_path):
    """Write runs of two methods, one that failed, and some that are not to be taken for them."""
    folder = tmp_path / "runs"
    for method, accuracies in ACCURACIES.items():
        for seed, accuracy in enumerate(accuracies):
            results = certified_results(accuracy, {"0.141176": accuracy - 0.1, "0.1": 0.01, "1.58": 0.02})
            make_run(folder / method / str(seed), f"lconvnet-cifar10-small-{method}", f"seed={seed}", results=results)
    others = certified_results(0.99, {"0.141176": 0.99, "1.58": 0.99})
    make_run(folder / "other" / "1", "lconvnet-cifar10-small-bcop", "data.name=cifar100", results=others)
    make_run(folder / "other" / "2", "lconvnet-cifar10-small-bcop", "loss=cross-entropy", results=others)
    make_run(folder / "other" / "3", "lconvnet-cifar10-small-bcop", "activation=relu", results=others)
    make_run(folder / "failed", "lconvnet-cifar10-small-svcm", failure={"message": "the loss is nan"})
    return folder


def _cells(text, table=0):
    cells = json.loads(text)["tables"][table]["cells"]
    return {(*cell["row"].values(), *cell["column"]): cell for cell in cells}


def test_a_template_takes_the_right_runs_and_no_others(runs, capsys):
    make_tables([str(runs)], template="lconvnet-1", format_name="json")
    cells = _cells(capsys.readouterr().out)
    for title, method in (("BCOP", "bcop"), ("RKO", "rko")):
        for measure, change in (("clean", 0.0), ("certified", -0.1)):
            cell = cells["CIFAR-10 at 36/255", "Small", measure, title]
            values = [100 * (accuracy + change) for accuracy in ACCURACIES[method]]
            assert cell["n"] == len(values)
            assert cell["mean"] == pytest.approx(statistics.mean(values))
            assert cell["deviation"] == pytest.approx(statistics.stdev(values))
            assert cell["best"] is (title == "BCOP")
    assert cells["CIFAR-10 at 36/255", "Small", "certified", "BCOP"]["published"]["value"] == 50.01
    assert cells["CIFAR-10 at 36/255", "Large", "clean", "BCOP"]["missing"]
    assert cells["MNIST at 1.58", "Small", "certified", "BCOP"]["missing"]


def test_missing_and_failed_runs_are_named(runs, capsys):
    make_tables([str(runs)], template="lconvnet-1", published=False)
    text = capsys.readouterr().out
    assert "28 of 32 cells" in text
    assert "lconvnet-mnist-large-ossn" in text
    assert f"Failed: {runs / 'failed'}: the loss is nan" in text
    assert "Published" not in text


def test_a_pivot(runs, capsys):
    layout = ("layer", "data", "certified@36/255")
    make_tables([str(runs / "bcop"), str(runs / "rko")], layout=layout, format_name="json")
    cells = _cells(capsys.readouterr().out)
    assert cells["bcop", "cifar10", "certified@0.141176"]["mean"] == pytest.approx(
        100 * (statistics.mean([0.64, 0.66, 0.61]) - 0.1)
    )


@pytest.mark.parametrize(("ending", "begin"), [("md", "**"), ("csv", "table,"), ("tex", "% needs"), ("json", "{")])
def test_a_file_says_its_format(runs, tmp_path, capsys, ending, begin):
    path = tmp_path / f"table.{ending}"
    make_tables([str(runs)], template="lconvnet-1", out=str(path))
    assert path.read_text().startswith(begin)
    assert capsys.readouterr().out == f"written: {path}\n"


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_makes_every_format(runs, capsys, name):
    for format_name in FORMATS:
        make_tables([str(runs)], template=name, format_name=format_name)
        text = capsys.readouterr().out
        if format_name == "latex":
            check_latex(text)
        if format_name == "json":
            assert all(table["cells"] for table in json.loads(text)["tables"])


def test_formulas_need_no_runs(capsys):
    make_tables([], template="layers-compared-theory")
    assert "c^3 k t + c^3 k^3" in capsys.readouterr().out


def test_templates_are_listed(capsys):
    list_templates()
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == list(TEMPLATES)
    assert "    from lconvnet-*-large-bcop, lconvnet-*-fc-3" in lines


def test_a_figure_is_drawn(runs, tmp_path, monkeypatch, capsys):
    seen = []
    monkeypatch.setattr(command, "save_radar", lambda inputs, path: seen.append((len(inputs.runs), path)))
    make_tables([str(runs)], template="layers-compared-radar", out=str(tmp_path / "radar.svg"))
    assert seen == [(8, tmp_path / "radar.svg")]
    assert capsys.readouterr().out == f"written: {tmp_path / 'radar.svg'}\n"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"template": "lconvnet1"}, "template 'lconvnet1' is unknown; did you mean 'lconvnet-1'"),
        ({"format_name": "latx"}, "format 'latx' is unknown; did you mean 'latex'"),
        ({"layout": (None, None, "acuracy")}, "value 'acuracy' is unknown; did you mean 'accuracy'"),
        ({"layout": ("lair", None, None)}, "factor 'lair' is unknown; did you mean 'layer'"),
        ({"template": "lconvnet-1", "layout": ("layer", None, None)}, "--rows layer has no meaning for --template"),
        ({"measurements": "x.csv"}, "--measurements are for templates that show costs"),
        (
            {"template": "lconvnet-1", "measurements": "x.csv"},
            "--measurements have no meaning for --template lconvnet-1",
        ),
        ({"format_name": "png"}, "format=png is for templates that are figures: layers-compared-radar"),
        ({"template": "lconvnet-1", "out": "x.svg"}, "format=svg is for templates that are figures"),
        (
            {"template": "layers-compared-radar", "format_name": "png"},
            "format=png needs a file to write that ends in .png",
        ),
        ({"out": "nowhere/table.md"}, "nowhere: no such folder"),
        ({"out": "."}, "cannot be written"),
    ],
)
def test_mistakes(runs, options, sentence):
    with pytest.raises(UserError, match=sentence):
        make_tables([str(runs)], **options)


def test_no_runs():
    with pytest.raises(UserError, match="onelip tables needs folders of runs"):
        make_tables([])
    with pytest.raises(UserError, match="onelip tables needs folders of runs"):
        make_tables([], template="layers-compared-radar")
    with pytest.raises(UserError, match="nowhere is no folder"):
        make_tables(["nowhere"])
