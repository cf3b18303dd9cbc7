import pytest
import torch

import onelip
from onelip.experiments import UserError
from onelip.experiments.bench import networks
from onelip.experiments.bench.cell import Cell
from onelip.experiments.bench.networks import check_names, measure_network
from onelip.experiments.bench.own_process import OwnProcessError
from onelip.experiments.machine import describe_machine

CELL = Cell("convnet-xs", "aol", 2, 32, 10, "cpu", 1, 1, 0.01)


def test_a_row_says_where_what_and_how_much():
    row = measure_network(CELL)
    assert row.error == ""
    assert row.key == (describe_machine(torch.device("cpu")), "cpu", "convnet-xs", "aol", 2, 32, 10)
    assert row.onelip == onelip.__version__
    assert row.date.startswith("20")
    missing = [name for name, value in vars(row).items() if value is None]
    # One time has no quartiles.
    assert missing == ["train_iqr_seconds", "eval_iqr_seconds"]


def test_a_failure_is_in_the_row_beside_what_was_measured(monkeypatch):
    def run(function, cell):
        if function is networks.measure_training:
            raise OwnProcessError("the process was killed, most likely for want of memory")
        return {"eval_seconds": 0.5}

    monkeypatch.setattr(networks, "in_own_process", run)
    row = measure_network(CELL)
    assert row.error == "training: the process was killed, most likely for want of memory"
    assert (row.eval_seconds, row.train_seconds) == (0.5, None)


def test_a_gpu_is_measured_in_this_process_and_its_errors_are_short(monkeypatch):
    def run(cell):
        raise torch.cuda.OutOfMemoryError("CUDA out of\nmemory " + "x" * 999)

    monkeypatch.setattr(networks, "measure_training", run)
    monkeypatch.setattr(networks, "measure_evaluation", lambda cell: {"eval_seconds": 0.25})
    monkeypatch.setattr(networks, "describe_machine", lambda device: f"a {device}")
    row = measure_network(Cell(**{**vars(CELL), "device": "cuda:1"}))
    assert (row.machine, row.device, row.eval_seconds) == ("a cuda:1", "cuda", 0.25)
    assert row.error.startswith("training: OutOfMemoryError: CUDA out of memory x")
    assert len(row.error) == 300


def test_an_image_that_does_not_fit_is_an_error_of_the_row():
    row = measure_network(Cell(**{**vars(CELL), "image": 33}))
    assert "input_shape=(3, 33, 33) does not fit model 'convnet-xs'" in row.error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["convnet-x"], ["aoc"], "cpu"), "model 'convnet-x' is unknown; did you mean 'convnet-"),
        ((["convnet-xs"], ["aoc", "aok"], "cpu"), "method 'aok' is unknown"),
        ((["convnet-xs"], ["plain"], "tpu"), "device='tpu' is not available; use 'cpu'"),
    ],
)
def test_names_are_checked(arguments, message):
    with pytest.raises(UserError, match=message):
        check_names(*arguments)


def test_known_names_pass():
    check_names(["convnet-xs", "mlp"], ["plain", "aoc"], "cpu")
