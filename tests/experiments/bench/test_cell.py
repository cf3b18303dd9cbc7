import dataclasses
import math

import pytest
import torch

from onelip import layers
from onelip.experiments.bench import cell as bench_cell
from onelip.experiments.bench import timing
from onelip.experiments.bench.cell import Cell, measure_evaluation, measure_training
from onelip.experiments.bench.own_process import in_own_process

XS = Cell("convnet-xs", "plain", 2, 32, 10, "cpu", 1, 1, 0.01)
WIDTH = 16


def test_operations_and_parameters_of_plain_networks_are_those_of_the_closed_form():
    # Of the paper: 191,488 w^2 multiplications and additions for an image, 6,130 w^2 + 188 w parameters.
    evaluation, training = measure_evaluation(XS), measure_training(XS)
    assert evaluation["forward_flops"] == XS.batch * 2 * 191_488 * WIDTH**2
    assert training["parameters"] == 6130 * WIDTH**2 + 188 * WIDTH
    # Backward computes two products for each of forward, but the first layer's input wants no gradient.
    first = 2 * XS.batch * 32 * 32 * WIDTH**2
    assert training["train_flops"] == 3 * evaluation["forward_flops"] - first


@pytest.mark.parametrize("method", ["aoc", "cayley"])
def test_weights_are_built_in_training_and_once_for_evaluations(method):
    cell = dataclasses.replace(XS, method=method)
    plain, own = measure_evaluation(XS), measure_evaluation(cell)
    assert own["eval_seconds"] > 0
    assert own["plain_eval_seconds"] > 0
    # Building takes longer than two images do.
    assert own["caching_seconds"] > 0
    if method == "aoc":
        assert own["forward_flops"] == plain["forward_flops"]
        assert measure_training(cell)["train_flops"] > measure_training(XS)["train_flops"]
    else:
        assert own["forward_flops"] < plain["forward_flops"]


def test_the_first_evaluation_after_a_change_builds_weights_anew():
    built = []

    class Counting(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(2))
            self.seen = None

        def forward(self, x):
            if self.seen != self.weight._version:
                self.seen = self.weight._version
                built.append(1)
            return x * self.weight

    model = Counting()
    with torch.no_grad():
        bench_cell._first_evaluation(model, torch.ones(2), torch.device("cpu"), 10.0)
    assert len(built) == bench_cell._CACHINGS
    assert model.weight.tolist() == [1.0, 1.0]


def test_seconds_are_those_of_what_they_are_named_after(monkeypatch):
    clock = [0.0]

    class Slow(torch.nn.Linear):
        built = None

        def forward(self, x):
            if self.training or self.built != self.weight._version:
                self.built = self.weight._version
                clock[0] += 5.0
            clock[0] += 1.0
            return super().forward(x.flatten(1))

    class Plain(torch.nn.Identity):
        def forward(self, x):
            clock[0] += 0.5
            return x

    for module in (bench_cell, timing):
        monkeypatch.setattr(module, "synchronised", lambda device: clock[0])
    monkeypatch.setattr(Cell, "network", lambda cell: Slow(3 * 32 * 32, 10))
    monkeypatch.setattr(bench_cell, "to_plain", lambda model: Plain())
    cell = dataclasses.replace(XS, steps=5, seconds=1e3)
    evaluation, training = measure_evaluation(cell), measure_training(cell)
    seconds = {name: value for name, value in {**evaluation, **training}.items() if name.endswith("seconds")}
    assert seconds == {
        "eval_seconds": 1.0, "eval_iqr_seconds": 0.0, "caching_seconds": 5.0, "plain_eval_seconds": 0.5,
        "train_seconds": 6.0, "train_iqr_seconds": 0.0,
    }  # fmt: skip


def test_memory_holds_weights_gradients_and_momentum_and_grows_with_the_batch():
    small = dataclasses.replace(XS, model="convnet-s", batch=1)
    n_bytes = 4 * (6130 * 32**2 + 188 * 32)
    # With a batch of 17 instead, what malloc keeps for itself is a tenth of the difference, and not the same each time.
    found = [in_own_process(measure_training, dataclasses.replace(small, batch=n)) for n in (1, 65)]
    memory = [numbers["train_memory_bytes"] for numbers in found]
    assert 3 * n_bytes <= memory[0] <= 5 * n_bytes
    # Kept for backward are at least the inputs of all layers, 5 and 5 1/2 and so on of 32x32 pixels.
    kept = 4 * 64 * sum(5 * 32 * 2**i * (32 / 2**i) ** 2 for i in range(5))
    assert kept <= memory[1] - memory[0] <= 4 * kept
    evaluation = in_own_process(measure_evaluation, small)["eval_memory_bytes"]
    assert n_bytes <= evaluation < memory[0]


def test_a_network_for_a_gpu_is_drawn_once_and_copied(monkeypatch):
    drawn = []
    monkeypatch.setattr(bench_cell, "_build", lambda cell, model: drawn.append(model) or torch.nn.Linear(2, 2))
    cell = dataclasses.replace(XS, device="meta")
    first, second = cell.network(), cell.network()
    assert drawn == ["convnet-xs"]
    assert first is not second
    assert first.weight.device.type == "meta"
    bench_cell._built.cache_clear()


def test_a_step_is_that_of_the_training(monkeypatch):
    retracted = []
    monkeypatch.setattr(bench_cell, "retract_", retracted.append)
    torch.manual_seed(0)
    model = XS.network()
    before = {name: value.clone() for name, value in model.named_parameters()}
    pixels, labels = XS.images()
    expected = _gradient(model, pixels, labels)
    model.zero_grad()
    bench_cell._training_step(model, pixels, labels)()
    name = "head.bias"
    moved = dict(model.named_parameters())[name] - before[name]
    torch.testing.assert_close(moved.detach(), -1e-3 * expected[name])
    assert retracted == [model]


def _gradient(model, pixels, labels):
    # Offset cross-entropy by hand: the offset is taken from the logit of the label.
    logits = model(pixels) - 0.3993 * torch.nn.functional.one_hot(labels, 10)
    (0.25 * torch.nn.functional.cross_entropy(logits / 0.25, labels)).backward()
    return {name: value.grad.clone() for name, value in model.named_parameters()}


def test_random_numbers_and_threads_elsewhere_are_left_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    measure_training(XS)
    assert torch.equal(torch.get_rng_state(), before)


def test_every_method_of_the_paper_makes_a_network():
    for method in ("plain", "aoc", "aol", "bcop", "cayley", "cpl", "lot", "sll", "soc"):
        model = dataclasses.replace(XS, method=method).network()
        assert method == "plain" or any(isinstance(m, layers.ConstrainedModule) for m in model.modules())


def test_images_are_pixels_with_labels_of_all_classes():
    pixels, labels = dataclasses.replace(XS, batch=20).images()
    assert pixels.shape == (20, 3, 32, 32)
    assert 0.0 <= float(pixels.min()) < float(pixels.max()) <= 1.0
    assert math.isclose(float(pixels.mean()), 0.5, abs_tol=0.01)
    assert labels.bincount().tolist() == [2] * 10
