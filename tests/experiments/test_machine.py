"""The kind of machine is named, never the machine."""

import platform

import pytest
import torch

from onelip.experiments.machine import describe_machine, processor


def test_the_processor_has_a_name():
    assert processor()
    assert platform.node() not in processor() or not platform.node()


@pytest.mark.parametrize(("n_threads", "words"), [(1, "1 thread,"), (2, "2 threads,")])
def test_threads_and_torch_are_named(n_threads, words, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: n_threads)
    text = describe_machine(torch.device("cpu"))
    assert text.startswith(processor())
    assert words in text
    assert torch.__version__ in text
