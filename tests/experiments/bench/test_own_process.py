import multiprocessing
import os
import signal

import pytest

from onelip.experiments.bench.own_process import OwnProcessError, in_own_process


def test_the_result_comes_from_another_process():
    first, second = in_own_process(os.getpid), in_own_process(os.getpid)
    assert len({first, second, os.getpid()}) == 3
    assert in_own_process(divmod, 7, 3) == (2, 1)


def test_an_error_is_told_in_one_line():
    with pytest.raises(OwnProcessError, match=r"^ValueError: invalid literal for int\(\) with base 10: 'x'$"):
        in_own_process(int, "x")


@pytest.mark.parametrize(
    ("function", "argument", "message"),
    [
        (signal.raise_signal, signal.SIGKILL, "the process was killed, most likely for want of memory"),
        (signal.raise_signal, signal.SIGTERM, "the process was ended by signal 15"),
        (os._exit, 3, "the process ended with exit code 3"),
    ],
)
def test_a_process_that_is_killed_is_an_error(function, argument, message):
    with pytest.raises(OwnProcessError, match=f"^{message}$"):
        in_own_process(function, argument)


def test_an_interrupted_wait_leaves_no_process():
    def interrupt(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        with pytest.raises(KeyboardInterrupt):
            in_own_process(signal.pause)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert multiprocessing.active_children() == []
