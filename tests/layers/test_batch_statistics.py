"""Statistics of batches: what training writes, what eval reads, and what several processes agree on."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import distributed, multiprocessing

from onelip.layers import BatchCentering, BatchLipNorm
from onelip.layers.batch_statistics import batch_mean, batch_variance, checked_number, several_processes

BOTH = [BatchCentering, BatchLipNorm]


def _batch(process: int) -> torch.Tensor:
    return torch.randn(5, 3, 2, generator=torch.Generator().manual_seed(process)) * (process + 1) + process


def _layers() -> torch.nn.Sequential:
    # Weighted channels, or the gradients of what is centred would be zero.
    torch.manual_seed(0)
    return torch.nn.Sequential(BatchCentering(3), torch.nn.Conv1d(3, 3, 1), torch.nn.Tanh(), BatchLipNorm(3))


def _gradients(layers: torch.nn.Sequential, x: torch.Tensor) -> list[torch.Tensor]:
    x = x.clone().requires_grad_()
    layers(x).pow(3).sum().backward()
    assert x.grad is not None
    return [x.grad, *(p.grad for p in layers.parameters() if p.grad is not None)]


def _train_in_process(process: int, folder: str) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=process, world_size=2)
    layers = _layers()
    # Shares of different sizes.
    found = _gradients(layers, _batch(process)[: 5 - 2 * process])
    torch.save((layers.state_dict(), found), f"{folder}/{process}.pt")
    distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_compute_what_one_does_with_all_samples(tmp_path: Path) -> None:
    multiprocessing.spawn(_train_in_process, (str(tmp_path),), 2)
    (first, mine), (second, other) = (torch.load(tmp_path / f"{i}.pt", weights_only=True) for i in range(2))
    layers = _layers()
    of_inputs, *of_weights = _gradients(layers, torch.cat([_batch(0), _batch(1)[:3]]))
    for name, value in layers.state_dict().items():
        assert torch.equal(first[name], second[name])
        assert torch.allclose(first[name], value, atol=1e-6)
    assert torch.allclose(torch.cat([mine[0], other[0]]), of_inputs, atol=1e-5)
    for a, b, expected in zip(mine[1:], other[1:], of_weights, strict=True):
        assert torch.allclose(a + b, expected, atol=1e-5)


def test_one_process_computes_torchs_moments() -> None:
    assert not several_processes()
    x = _batch(1)
    mean, count = batch_mean(x)
    assert count == 10
    assert torch.equal(mean, x.mean((0, 2)))
    assert torch.equal(batch_variance(x, mean, count), x.var((0, 2), correction=0))


@pytest.mark.parametrize("cls", BOTH)
def test_the_running_mean_is_torchs(cls: type[BatchCentering | BatchLipNorm]) -> None:
    ours, torchs = cls(3, momentum=0.25), torch.nn.BatchNorm1d(3, momentum=0.25)
    for process in range(3):
        ours(_batch(process)), torchs(_batch(process))
    assert torchs.running_mean is not None
    assert torch.allclose(ours.running_mean, torchs.running_mean, atol=1e-6)


@pytest.mark.parametrize("cls", BOTH)
def test_eval_writes_nothing_and_buffers_keep_their_identity(cls: type[BatchCentering | BatchLipNorm]) -> None:
    layer = cls(3)
    buffers = {name: id(b) for name, b in layer.named_buffers()}
    layer(_batch(1))
    assert {name: id(b) for name, b in layer.named_buffers()} == buffers
    before = copy.deepcopy(layer.eval().state_dict())
    layer(_batch(0))
    assert all(torch.equal(v, before[k]) for k, v in layer.state_dict().items())
    assert all(not b.requires_grad for b in layer.buffers())


@pytest.mark.parametrize("cls", BOTH)
def test_momentum_of_zero_and_one(cls: type[BatchCentering | BatchLipNorm]) -> None:
    kept, last = cls(3, momentum=0), cls(3, momentum=1)
    for layer in (kept, last):
        layer(_batch(1)), layer(_batch(0))
    assert not kept.running_mean.any()
    assert torch.allclose(last.running_mean, _batch(0).mean((0, 2)), atol=1e-6)


@pytest.mark.parametrize("cls", BOTH)
def test_half_precision_is_averaged_in_single(cls: type[BatchCentering | BatchLipNorm]) -> None:
    x = (100 + torch.randn(4096, 3)).to(torch.bfloat16)
    layer = cls(3, momentum=1.0)
    assert layer(x).dtype == torch.bfloat16
    assert torch.allclose(layer.running_mean, x.float().mean(0), rtol=1e-6)
    assert layer.eval()(x).dtype == torch.bfloat16


@pytest.mark.parametrize("cls", BOTH)
def test_refusals(cls: type[BatchCentering | BatchLipNorm]) -> None:
    name = cls.__name__
    with pytest.raises(ValueError, match=f"num_features=0 in {name} must be an integer of at least 1"):
        cls(0)
    with pytest.raises(ValueError, match=f"momentum=1.5 in {name} must be a finite number from 0 to 1"):
        cls(2, momentum=1.5)
    with pytest.raises(ValueError, match=rf"input of shape \(2, 4\) in {name} must have num_features=3 channels"):
        cls(3)(torch.zeros(2, 4))
    with pytest.raises(ValueError, match=rf"input of shape \(1, 3\) in {name} has one value for each"):
        cls(3)(torch.zeros(1, 3))
    cls(3).eval()(torch.zeros(1, 3))
    layer = cls(3)
    layer.running_mean[0] = float("nan")
    for verb in (layer.lipschitz_bound, layer.eval().lipschitz_bound):
        with pytest.raises(ValueError, match=f"num_features=3 in {name}: a stored number is not finite"):
            verb()


@pytest.mark.parametrize("value", [float("nan"), -1, "1", None, True])
def test_numbers_are_checked(value: object) -> None:
    assert checked_number("Toy", "size", 2, 0.0) == 2.0
    with pytest.raises(ValueError, match="in Toy must be a finite number of at least 0"):
        checked_number("Toy", "size", value, 0.0)
