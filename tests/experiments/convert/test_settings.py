"""Which format a settings file has."""

from __future__ import annotations

import pytest
from tests.experiments.convert.settings_files import classifier_json, experiment_yaml, search_settings, write_json

from onelip.experiments.convert.settings import FORMATS, convert_settings
from onelip.experiments.errors import UserError


def test_formats_are_told_by_their_keys(tmp_path):
    for name, text in (("settings.yml", search_settings("LOT")), ("cfg.yaml", experiment_yaml())):
        (tmp_path / name).write_text(text, "utf-8")
    assert convert_settings(tmp_path / "settings.yml").tree["layer"] == "lot"
    assert convert_settings(tmp_path / "cfg.yaml").tree["layer"] == "bcop"
    assert convert_settings(write_json(tmp_path, classifier_json())).tree["layer"] == "bjorck"


def test_a_format_can_be_given(tmp_path):
    assert set(FORMATS) == {"layers-compared", "lconvnet", "lnets"}
    path = write_json(tmp_path, classifier_json())
    assert convert_settings(path, source="lnets").tree["layer"] == "bjorck"
    with pytest.raises(UserError, match="key of the file 'seed' is unknown"):
        convert_settings(path, source="layers-compared")
    with pytest.raises(UserError, match=r"--from 'lnet' is unknown; did you mean 'lnets'"):
        convert_settings(path, source="lnet")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: 1", "the format is not known by the keys"),
        ("- 1", "the format is not known by the keys"),
        ("a: [", "line 1"),
    ],
)
def test_other_files_are_refused(tmp_path, text, sentence):
    (tmp_path / "x.yml").write_text(text, "utf-8")
    with pytest.raises(UserError, match=sentence):
        convert_settings(tmp_path / "x.yml")


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"none\.yml: no such file"):
        convert_settings(tmp_path / "none.yml")
