"""Rows in every form in which they are written down."""

import csv
import io
import json
import math
from dataclasses import replace

from onelip.spectral.layer_spectrum import LayerSpectrum, as_csv, as_json, as_markdown, as_table, labels

CONV = LayerSpectrum(
    name="stem.conv", kind="Conv2d", weight_shape=(4, 1, 3, 1), stride=(2, 2), padding=(1, 0), dilation=(1, 1),
    groups=4, input_shape=(4, 8, 8), output_shape=(4, 4, 4), values=(2.0, 1.0 / 3.0), converged=False,
)  # fmt: skip
NORM = LayerSpectrum(
    name="", kind="BatchNorm1d", weight_shape=None, stride=None, padding=None, dilation=None, groups=None,
    input_shape=(), output_shape=(3,), values=(math.nan,), converged=True, exact=True,
)  # fmt: skip


def test_the_table_is_aligned_and_marks_what_did_not_converge():
    assert as_table([CONV, NORM]) == [
        "name       kind         weight   options                          input   output  singular values",
        "stem.conv  Conv2d       4x1x3x1  stride 2, padding 1x0, groups 4  4x8x8   4x4x4   2.0000*  0.33333*",
        "(model)    BatchNorm1d                                            scalar  3       nan",
    ]


def test_markdown_shows_the_star():
    header, marks, conv, _ = as_markdown([CONV, NORM])
    assert header.count("|") == marks.count("|") == conv.count("|") == 8
    assert "2.0000\\*" in conv


def test_csv_has_a_column_for_each_value():
    conv, norm = csv.DictReader(io.StringIO(as_csv([CONV, NORM])))
    assert (conv["sigma_1"], conv["sigma_2"], norm["sigma_1"], norm["sigma_2"]) == ("2", "0.3333333333", "nan", "")
    assert (conv["weight_shape"], conv["padding"], norm["padding"], norm["groups"]) == ("4x1x3x1", "1x0", "", "")
    assert (conv["converged"], norm["exact"], norm["name"]) == ("False", "True", "(model)")
    assert list(csv.DictReader(io.StringIO(as_csv([])))) == []


def test_json_has_no_nan():
    read = json.loads(as_json([CONV, NORM], {"tol": 0.1}))
    conv, norm = read["layers"]
    assert (read["tol"], conv["values"], norm["values"]) == (0.1, [2.0, 1.0 / 3.0], [None])
    assert (conv["input_shape"], conv["converged"], norm["groups"]) == ([4, 8, 8], False, None)


def test_no_two_labels_are_alike():
    other = replace(CONV, input_shape=(4, 4, 4))
    assert labels([CONV, NORM, other, other]) == [
        "stem.conv at 4x8x8", "(model)", "stem.conv at 4x4x4 #1", "stem.conv at 4x4x4 #2",
    ]  # fmt: skip


def test_options_are_what_differs():
    assert replace(CONV, stride=(1, 1), padding="same", groups=1).options == "padding same"
    assert NORM.options == ""
