"""Pages of numbers and pictures."""

import base64

import pytest

from onelip.experiments.report.pictured import Picture, PicturedPage, Tile


def page(tmp_path, **changes):
    picture = tmp_path / "a.png"
    picture.write_bytes(b"not really a picture")
    given = {
        "title": "a <run>",
        "subtitle": "of this & that",
        "lead": "At least 1.",
        "tiles": [Tile("bound", "1.0", "of 1", proved=True)],
        "pictures": [Picture("Curve", picture, "What it shows.")],
        "rows": [("seed", "0")],
        "commands": [("onelip train x", "Again:")],
        "config": "name: x\n",
    }
    target = tmp_path / "report.html"
    PicturedPage(**{**given, **changes}).write(target)
    return target.read_text("utf-8")


def test_it_holds_everything_in_one_file_and_escapes_text(tmp_path):
    text = page(tmp_path)
    assert "a &lt;run&gt;" in text
    assert "<run>" not in text
    assert base64.b64encode(b"not really a picture").decode() in text
    for part in ("At least 1.", "What it shows.", "onelip train x", "name: x", 'class="tile proved"'):
        assert part in text
    assert "http" not in text.replace("http-equiv", "")


def test_an_unknown_kind_of_picture_is_an_error(tmp_path):
    other = tmp_path / "a.bmp"
    other.write_bytes(b"x")
    with pytest.raises(KeyError, match="bmp"):
        page(tmp_path, pictures=[Picture("x", other, "y")])
