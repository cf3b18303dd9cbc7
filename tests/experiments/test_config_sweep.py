"""The section of a sweep: its usual values, times, and the sentence for each mistake."""

import pytest

from onelip.experiments import UserError
from onelip.experiments.config_file import check_tree
from onelip.experiments.config_sweep import Sweep, SweepTree, read_duration


def section(**keys):
    return check_tree(SweepTree, {"sweep": keys}).sweep


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90.0), ("45m", 2700.0), ("45 min", 2700.0), ("2h", 7200.0), ("1h30m", 5400.0), ("1d 2h", 93600.0),
        ("1.5 h", 5400.0), (30, 30), (None, None),
    ],
)  # fmt: skip
def test_times_are_read(text, seconds):
    assert read_duration(text) == seconds


@pytest.mark.parametrize("text", ["2", "h", "2 weeks", "2h and a bit", "", "0s", "-2h"])
def test_other_texts_are_no_times(text):
    with pytest.raises(ValueError, match="is not a time; write it as 2h, 1h30m, 45m or 90s"):
        read_duration(text)


def test_what_is_not_said_is_usual():
    usual = section()
    assert usual == Sweep()
    assert (usual.search, usual.trials, usual.seed, usual.max_deaths) == ("random", None, 0, 3)
    assert (usual.final.seeds, usual.final.budget, usual.evaluate, usual.pruning) == ((0, 1, 2), None, None, None)


def test_a_section_is_read():
    read = section(
        search="tpe", budget="2h", pruning="median", final={"seeds": [5], "budget": "1d"}, factors={"seed": [0, 1]}
    )
    assert (read.budget, read.final.budget, read.final.seeds) == (7200.0, 86400.0, (5,))
    assert (read.pruning.name, read.pruning.startup, read.pruning.first) == ("median", 5, 1)
    assert read.factors == {"seed": [0, 1]}


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"trails": 3}, r"'sweep.trails' is unknown; did you mean 'sweep.trials'"),
        ({"trials": 0}, r"sweep\.trials=0 .* greater than 0"),
        ({"trials": 2.5}, r"sweep\.trials=2\.5"),
        ({"search": "bayes"}, r"sweep\.search='bayes' .* 'grid', 'random' or 'tpe'"),
        ({"search": "grid", "trials": 3}, r"sweep\.trials=3 does not go with sweep\.search=grid, which tries all"),
        ({"points": 3}, r"sweep\.points=3 is of sweep\.search=grid, and this is random"),
        ({"factors": {"seed": []}}, r"sweep\.factors\.seed has no level"),
        ({"factors": {"seed": {}}}, r"sweep\.factors\.seed has no level"),
        ({"factors": {"seed": [1, 2, 1]}}, r"sweep\.factors\.seed=\[1, 2, 1\] has a level twice"),
        (
            {"factors": {"seed": [1]}, "skip": [{"sed": 1}]},
            r"factor in sweep\.skip 'sed' is unknown; did you mean",
        ),
        ({"budget": "soon"}, r"sweep\.budget='soon' .*must be a time such as 2h"),
        ({"budget": 0}, r"sweep\.budget=0 .*greater than 0"),
        ({"goal": "maximise"}, r"sweep\.goal='maximise' .*'maximize' or 'minimize'"),
        ({"pruning": "hyperband"}, r"sweep\.pruning\.name='hyperband' .*'median' or 'successive-halving'"),
        ({"pruning": {"name": "median", "reduction": 1}}, r"sweep\.pruning\.reduction=1"),
        ({"final": {"seeds": []}}, r"sweep\.final\.seeds=.*at least one entry"),
        ({"final": {"seeds": [-1]}}, r"sweep\.final\.seeds\[0\]=-1"),
        (
            {"final": {"budget": "2h", "set": {"trainer.max_epochs": 3}}},
            r"sweep\.final\.set has trainer\.max_epochs, which sweep\.final\.budget chooses",
        ),
        ({"final": {"set": {"seed": 3}}}, r"sweep\.final\.set has seed, which each trial has of its own"),
    ],
)
def test_each_mistake_is_one_sentence(keys, sentence):
    with pytest.raises(UserError, match=sentence) as caught:
        section(**keys)
    assert "\n" not in str(caught.value)
