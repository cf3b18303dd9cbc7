"""Optuna: quiet, and one sentence where it is missing."""

import sys

import pytest

from onelip.experiments import UserError
from onelip.experiments.sweep.optuna_library import optuna


def test_it_says_nothing_below_a_warning():
    library = optuna()
    assert library.logging.get_verbosity() == library.logging.WARNING


def test_without_it_one_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UserError, match=r"onelip sweep needs Optuna; install it with: pip install 'onelip\[sweep\]'"):
        optuna.__wrapped__()
