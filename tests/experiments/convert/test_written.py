"""The file that is written: notes on top, checked before it is there, never over another one."""

from __future__ import annotations

import pytest
from tests.experiments.convert.settings_files import search_settings
from tests.experiments.convert.test_layers_compared import converted

from onelip.experiments import load_config
from onelip.experiments.convert.conversion import Conversion, Drawn
from onelip.experiments.convert.written import check_conversion, write_conversion
from onelip.experiments.errors import UserError

GOOD = {"name": "x", "model": "mlp", "loss": "cross-entropy"}


def test_notes_are_comments_and_the_rest_is_a_configuration(tmp_path):
    text = search_settings("SOC", optimizer="!optimizer {name: SGD, lr: 0.05}")
    conversion = converted(tmp_path, text)
    path = tmp_path / "new" / "mine.yaml"
    write_conversion(conversion, path, "settings.yml")
    lines = path.read_text("utf-8").splitlines()
    assert lines[0] == "# Converted from settings.yml."
    assert "# no counterpart: num_workers=4" in lines
    assert max(map(len, lines)) <= 120
    assert load_config(str(path)).optimizer.lr == 0.05


def test_a_file_is_never_overwritten(tmp_path):
    (tmp_path / "mine.yaml").write_text("mine")
    with pytest.raises(UserError, match=r"mine\.yaml exists already; give another file by --out"):
        write_conversion(Conversion(dict(GOOD)), tmp_path / "mine.yaml", "x.yml")
    assert (tmp_path / "mine.yaml").read_text() == "mine"


@pytest.mark.parametrize(
    "change",
    [
        {"optimizer": {"name": "sgd", "lr": Drawn("uniform", (0.1, -1.0))}},
        {"sweep": {"factors": {"a": {"good": {}, "bad": {"certify": {"radii": []}}}}}},
        {"sweep": {"factors": {"seed": [0, -1]}}},
    ],
)
def test_what_our_loader_refuses_is_not_written(tmp_path, change):
    check_conversion(Conversion(dict(GOOD)))
    with pytest.raises(UserError, match="in the configuration is not allowed"):
        write_conversion(Conversion(GOOD | change), tmp_path / "x.yaml", "x.yml")
    assert list(tmp_path.iterdir()) == []
