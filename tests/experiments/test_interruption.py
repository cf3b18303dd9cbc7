"""Ctrl-C stops a training between two batches, a second one at once."""

import signal
import threading

import pytest
from lightning.pytorch.utilities.exceptions import SIGTERMException
from tests.tasks.toy import ToyBatches, linear_model, toy_trainer
from torch.nn.functional import cross_entropy

from onelip.experiments import interruption as module
from onelip.experiments.interruption import Interruption
from onelip.tasks import Classification, sgd

# Raised by Lightning 2.6 itself on torch 2.13.
pytestmark = pytest.mark.filterwarnings("ignore:.*treespec, LeafSpec:FutureWarning")


class SignalledLoss:
    """Cross-entropy that sends SIGINT in some of its calls, and counts those that it comes out of."""

    def __init__(self, *signals):
        self.signals, self.calls, self.ended = signals, 0, 0

    def __call__(self, logits, labels):
        self.calls += 1
        for _ in range(self.signals.count(self.calls)):
            signal.raise_signal(signal.SIGINT)
        self.ended += 1
        return cross_entropy(logits, labels)


def interrupted(tmp_path, *signals):
    loss = SignalledLoss(*signals)
    task = Classification(linear_model(), loss, optimizer=sgd())
    interruption = Interruption()
    trainer = toy_trainer(tmp_path, 1, interruption)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises((KeyboardInterrupt, SystemExit)), interruption.listening():
        trainer.fit(task, ToyBatches(), ToyBatches())
    assert signal.getsignal(signal.SIGINT) is before
    return trainer, loss


def test_a_step_that_has_begun_is_finished_and_none_begins(tmp_path):
    trainer, loss = interrupted(tmp_path, 2)
    assert (trainer.global_step, loss.ended) == (2, 2)


def test_the_second_signal_stops_at_once(tmp_path):
    trainer, loss = interrupted(tmp_path, 2, 2)
    assert (trainer.global_step, loss.calls, loss.ended) == (1, 2, 1)


def test_a_validation_stops_between_two_batches(tmp_path):
    _, loss = interrupted(tmp_path, 5)
    assert loss.ended == 5


def test_a_signal_after_the_last_batch_is_not_lost():
    with pytest.raises(KeyboardInterrupt), Interruption().listening():
        signal.raise_signal(signal.SIGINT)


def test_nothing_is_taken_over_outside_of_the_main_thread():
    seen = []

    def listen():
        with Interruption().listening():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=listen)
    before = signal.getsignal(signal.SIGINT)
    thread.start()
    thread.join()
    assert seen == [before]


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interruption().listening():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SIGTERMException)])
def test_a_signal_to_another_process_stops_this_one(number, kind, monkeypatch):
    monkeypatch.setattr(module, "largest", lambda own: max(own, number))
    with pytest.raises(kind):
        Interruption().on_train_batch_start(None, None, None, 0)


def test_sigterm_waits_for_the_next_batch_of_all_processes(monkeypatch):
    monkeypatch.setattr(module, "several_processes", lambda: True)
    before = signal.getsignal(signal.SIGTERM)
    interruption = Interruption()
    interruption.on_train_start(None, None)
    try:
        signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    with pytest.raises(SIGTERMException):
        interruption.on_validation_batch_start(None, None, None, 0)
