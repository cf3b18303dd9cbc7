"""Scores from a file."""

import json
import math

import pytest

from onelip.experiments import UserError
from onelip.experiments.overview.scores import read_scores

GOOD = {"axes": ["a", "b", "c"], "series": {"aoc": [1, 2.5, None]}}


def test_scores_are_read(tmp_path):
    file = tmp_path / "scores.json"
    file.write_text(json.dumps(GOOD | {"top": 3, "caption": "of three"}))
    radar = read_scores(file)
    assert (radar.axes, radar.top, radar.caption) == (("a", "b", "c"), 3.0, "of three")
    assert radar.series["aoc"][:2] == (1.0, 2.5)
    assert math.isnan(radar.series["aoc"][2])
    file.write_text(json.dumps(GOOD))
    assert read_scores(file).top == 5.0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "has no scores: Expecting property name"),
        ("[]", "has no scores"),
        ({"axes": ["a", "b", "c"]}, "it lacks 'series'"),
        (GOOD | {"series": [1]}, "is not a mapping of methods to scores"),
        (GOOD | {"series": {"aoc": [1, "2", 3]}}, "a score is '2'"),
        (GOOD | {"series": {"aoc": [1, 2, 9]}}, "a score of 9.0; allowed is 0 to 5.0"),
        (GOOD | {"axes": ["a"]}, "needs at least 3"),
    ],
)
def test_another_file_is_refused_in_one_sentence(tmp_path, content, message):
    file = tmp_path / "scores.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(UserError, match=message):
        read_scores(file)
    with pytest.raises(UserError, match="no such file"):
        read_scores(tmp_path / "none.json")
