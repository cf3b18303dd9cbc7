"""Tables of any factors."""

import pytest
from tests.experiments.collection.made_runs import make_row

from onelip.experiments import UserError
from onelip.experiments.tables.filling import fill
from onelip.experiments.tables.pivot import pivot
from onelip.experiments.tables.selection import select

VALUES = {"accuracy": 0.9, "certified@0.141176": 0.5, "certified@1": 0.1, "lipschitz_bound": 1.0}


def _rows(**others):
    return [
        make_row(
            "digits", f"layer={layer}", f"seed={seed}", factors={"method": layer, "size": size}, values=VALUES, **others
        )
        for layer in ("aol", "aoc")
        for size in ("small", "large")
        for seed in (0, 1)
    ]


def test_rows_and_columns_and_a_value():
    spec = pivot(_rows(), ["method"], ["size"], ["certified@36/255"])
    assert spec.corner == ("method",)
    assert spec.rows == [("aoc",), ("aol",)]
    assert spec.columns == [("large", "certified@0.141176"), ("small", "certified@0.141176")]
    grid = fill(spec, select(_rows()))
    assert [[cell.n for cell in row] for row in grid.cells] == [[2, 2], [2, 2]]
    assert grid.cells[0][0].summary.mean == 50


def test_only_the_runs_of_a_cell_count():
    one = make_row("digits", factors={"method": "aol", "size": "small"}, values={"accuracy": 0.1})
    other = make_row("digits", factors={"method": "aol", "size": "large"}, values={"accuracy": 0.7})
    grid = fill(pivot([one, other], ["method"], ["size"], ["accuracy"]), select([one, other]))
    assert [cell.summary.mean for cell in grid.cells[0]] == pytest.approx([70, 10])


def test_defaults_are_what_varies_and_the_usual_numbers():
    spec = pivot(_rows(), None, None, None)
    # The layer says the same as the method of the sweep.
    assert spec.corner == ("method", "size")
    assert spec.columns == [("accuracy",), ("certified@0.141176",), ("certified@1",)]
    assert pivot(_rows(), None, ["size"], None).corner == ("method",)


def test_options_that_follow_from_the_layer_are_no_rows():
    names = ("lconvnet-cifar10-small-bcop", "lconvnet-cifar10-small-rko", "lconvnet-mnist-small-rko")
    rows = [make_row(name, values=VALUES) for name in names]
    assert pivot(rows, None, None, None).corner == ("data", "layer")


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({"lower_bound": 1.0, "exact": 1.0}, [("lower_bound",)]),
        ({"frechet_sq": 1.0}, [("frechet_sq",)]),
        ({"val_accuracy": 0.5, "val_certified_accuracy": 0.4}, [("val_accuracy",), ("val_certified_accuracy",)]),
        ({"clean_accuracy": 0.5}, [("clean_accuracy",)]),
        ({"other": 0.5}, [("other",)]),
    ],
)
def test_usual_numbers_of_other_runs(values, names):
    assert pivot([make_row("digits", values=values)], None, None, None).columns == names


def test_one_run_alone():
    spec = pivot([make_row("digits", values=VALUES)], None, None, None)
    assert (spec.corner, spec.rows) == (("runs",), [("all",)])


def test_numbers_are_in_their_order():
    rows = [make_row("digits", factors={"width": w}, values=VALUES) for w in (128, 8, 64)]
    assert pivot(rows, ["width"], None, None).rows == [("8",), ("64",), ("128",)]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((["methud"], None, None), "factor 'methud' is unknown; did you mean 'method'"),
        ((None, ["siz"], None), "factor 'siz' is unknown; did you mean 'size'"),
        ((["size"], ["size"], None), "--rows and --columns have size both"),
        ((None, None, ["acuracy"]), "value 'acuracy' is unknown; did you mean 'accuracy'"),
    ],
)
def test_mistakes(arguments, sentence):
    with pytest.raises(UserError, match=sentence):
        pivot(_rows(), *arguments)


def test_runs_without_numbers():
    with pytest.raises(UserError, match="none of these runs has any number yet"):
        pivot([make_row("digits", status="unfinished")], None, None, None)
