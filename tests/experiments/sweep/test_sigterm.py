from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from onelip.experiments.errors import CommandFailedError
from onelip.experiments.sweep.sigterm import stopping_on_sigterm


def test_the_signal_ends_the_block_and_means_afterwards_what_it_did():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(CommandFailedError, match=r"^stopped$") as caught, stopping_on_sigterm():
        signal.raise_signal(signal.SIGTERM)
    assert caught.value.exit_code == 143
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_block_that_puts_another_handler_in_place():
    before = signal.getsignal(signal.SIGTERM)
    with stopping_on_sigterm():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    assert signal.getsignal(signal.SIGTERM) is before


def test_in_another_thread_nothing_changes():
    def inside():
        with stopping_on_sigterm():
            return signal.getsignal(signal.SIGTERM)

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(inside).result() is signal.getsignal(signal.SIGTERM)
