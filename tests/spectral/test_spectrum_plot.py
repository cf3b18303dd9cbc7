"""The picture shows every layer, and what is wrong with it."""

import math
import os
import sys
from dataclasses import replace

import pytest

from onelip.spectral import LayerSpectrum
from onelip.spectral.spectrum_plot import draw_spectrum

ROW = LayerSpectrum(
    name="conv", kind="Conv2d", weight_shape=(4, 1, 3, 1), stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1,
    input_shape=(4, 8, 8), output_shape=(4, 4, 4), values=(2.0, 0.5), converged=True,
)  # fmt: skip


def test_every_layer_is_named_and_oddities_are_told(tmp_path):
    rows = [
        ROW,
        replace(ROW, name="late", converged=False),
        replace(ROW, name="nothing", kind="Linear", values=(0.0,)),
        replace(ROW, name="broken", kind="BatchNorm2d", values=(math.nan,), converged=False),
        replace(ROW, name="own", kind="Mixing", values=(1e-3,)),
    ]
    draw_spectrum(rows, tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text()
    for word in ("conv", "late", "nothing", "broken", "own", "zero", "not finite", "not converged", "convolution"):
        assert f"<!-- {word} -->" in text
    assert os.listdir(tmp_path) == ["a.svg"]


def test_a_png_is_one(tmp_path):
    draw_spectrum([ROW], tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_drawn_is_refused(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="no layers to draw"):
        draw_spectrum([], tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"a\.txt' must end in \.png"):
        draw_spectrum([ROW], tmp_path / "a.txt")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ModuleNotFoundError, match="a plot needs matplotlib"):
        draw_spectrum([ROW], tmp_path / "a.png")
    assert os.listdir(tmp_path) == []
