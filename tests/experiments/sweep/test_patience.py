"""Calls to a storage that is away for a while."""

import pytest

from onelip.experiments.sweep.optuna_library import optuna
from onelip.experiments.sweep.patience import PatientStorage


class Flaky:
    def __init__(self, error, times):
        self.error, self.times, self.calls = error, times, []

    def get_trial(self, number, *, deep=False):
        self.calls.append((number, deep))
        if len(self.calls) <= self.times:
            raise self.error
        return f"trial {number}"


@pytest.mark.parametrize(
    "error",
    [
        optuna().exceptions.StorageInternalError("An exception is raised"),
        ConnectionRefusedError("refused"),
        pytest.importorskip("redis").exceptions.ConnectionError("Error 111 connecting"),
    ],
)
def test_a_call_waits_until_the_storage_is_back(error, capsys):
    pauses, storage = [], Flaky(error, 7)
    assert PatientStorage(storage, pause=pauses.append).get_trial(3, deep=True) == "trial 3"
    assert storage.calls == [(3, True)] * 8
    assert pauses == [0.5, 1.0, 2.0, 5.0, 10.0, 10.0, 10.0]
    assert capsys.readouterr().out.count("cannot be reached") == 1


def test_it_does_not_wait_for_ever():
    storage = Flaky(ConnectionRefusedError("refused"), 10**6)
    with pytest.raises(ConnectionRefusedError):
        PatientStorage(storage, patience=0.0).get_trial(1)
    assert len(storage.calls) == 1


@pytest.mark.parametrize("error", [KeyError("no such study"), optuna().exceptions.UpdateFinishedTrialError("ended")])
def test_what_is_an_answer_is_passed_on_at_once(error):
    storage = Flaky(error, 1)
    with pytest.raises(type(error)):
        PatientStorage(storage, pause=pytest.fail).get_trial(1)
