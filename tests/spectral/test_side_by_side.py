"""Layers clipped together, against each alone."""

import copy

import pytest
import torch
from tests.spectral.dense_values import dense_values
from torch import nn

import onelip
from onelip.spectral import side_by_side
from onelip.spectral.side_by_side import Measurement, Projection, answers_to
from onelip.spectral.symbol_clip import SymbolClip, clip_together_

LAYERS = (
    (lambda: nn.Conv2d(5, 5, 3, padding=1), (5, 4, 4)),
    (lambda: nn.Conv2d(5, 5, 3, padding=1), (5, 4, 4)),
    (lambda: nn.Conv2d(5, 5, 3, padding=1), (5, 13, 13)),
    (lambda: nn.Conv2d(5, 5, 3, padding=1), (5, 14, 15)),
    (lambda: nn.Conv2d(3, 5, 3, padding=1), (3, 13, 13)),
    (lambda: nn.Conv2d(5, 5, 3, padding=1, dtype=torch.float64), (5, 13, 13)),
    (lambda: nn.Conv2d(4, 4, 3, padding=1, groups=2), (4, 13, 13)),
    (lambda: nn.Conv2d(4, 6, 3, stride=2, padding=1), (4, 9, 8)),
    (lambda: nn.Conv1d(3, 4, 3, dilation=2, padding="same"), (3, 11)),
    (lambda: nn.ConvTranspose2d(4, 3, 3, stride=2), (4, 4, 4)),
    (lambda: nn.Linear(12, 9), (12,)),
    (lambda: nn.Linear(6, 3), (6,)),
)


# The same code runs on the CPU, where the tests make it take layers together; the device has other factorisations.
cuda = pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"))


def made():
    torch.manual_seed(0)
    layers = [make() for make, _ in LAYERS]
    with torch.no_grad():
        for factor, layer in enumerate(layers, start=1):
            layer.weight.mul_(0.5 * factor)
    return layers


@pytest.mark.parametrize("device", ["cpu", cuda])
@pytest.mark.parametrize("at_once", [0, 2**12, 2**24])
def test_layers_clipped_together_are_as_each_alone_on_the_cpu(at_once, device, monkeypatch):
    together, alone = [layer.to(device) for layer in made()], made()
    shapes = [shape for _, shape in LAYERS]
    expected = [SymbolClip(layer, shape).clip_(1.0, 1e-2) for layer, shape in zip(alone, shapes, strict=True)]
    monkeypatch.setattr(side_by_side, "_numbers_at_once", lambda device: at_once)
    done = clip_together_([SymbolClip(layer, shape) for layer, shape in zip(together, shapes, strict=True)], 1.0, 1e-2)
    assert sum(one.moved for one in done) >= 8
    for layer, other, start, shape, found, one in zip(together, alone, made(), shapes, done, expected, strict=True):
        assert found.moved == one.moved
        assert found.norm == pytest.approx(one.norm, rel=2e-3)
        here = layer.cpu()
        assert float(dense_values(here, shape)[0]) <= 1.015
        assert (here.weight - other.weight).norm() <= 0.05 * (other.weight - start.weight).norm()


def test_what_is_alike_is_answered_together(monkeypatch):
    monkeypatch.setattr(side_by_side, "_numbers_at_once", lambda device: 2**20)
    counts = []
    for name in ("project_kernels", "quick_norms"):
        original = getattr(side_by_side, name)

        def counted(first, *rest, original=original, **options):
            counts.append(len(first))
            return original(first, *rest, **options)

        monkeypatch.setattr(side_by_side, name, counted)
    layer, other = nn.Conv2d(5, 5, 3, padding=1), nn.Conv2d(5, 5, 3, padding=1)
    strided = nn.Conv2d(5, 5, 3, padding=1, stride=2)
    clips = [SymbolClip(one, (5, 13, 13)) for one in (layer, strided, other)]
    kernels = [next(clip.steps(1.0, 1e-2)) for clip in clips]
    assert all(isinstance(kernel, Projection) for kernel in kernels)
    answers = answers_to(dict(enumerate(kernels)))
    assert sorted(answers) == [0, 1, 2]
    assert counts == [2, 1]
    counts.clear()
    measured = [Measurement(one, (5, 6, 6), None) for one in (layer, strided, other)]
    answers = answers_to(dict(zip("abc", measured, strict=True)))
    assert counts == [2, 1]
    for name, one in zip("abc", (layer, strided, other), strict=True):
        assert answers[name][0] == pytest.approx(float(dense_values(copy.deepcopy(one), (5, 6, 6))[0]), rel=1e-2)


def test_no_more_is_taken_together_than_memory_allows(monkeypatch):
    counts = []
    original = side_by_side.project_kernels

    def counted(kernels, *rest, **options):
        counts.append([kernel.shape[1] for kernel in kernels])
        return original(kernels, *rest, **options)

    monkeypatch.setattr(side_by_side, "project_kernels", counted)
    convs = [nn.Conv2d(4, n, 3, padding=1) for n in (4, 8, 2, 8, 8)]
    requests = [next(SymbolClip(conv, (4, 13, 13)).steps(1.0, 1e-2)) for conv in convs]
    n_frequencies = len(requests[0].symbol.counts)
    for at_once, expected in (
        (2 * 8 * 4 * n_frequencies, [[8, 8], [8, 4], [2]]),
        (2 * 8 * 4 * n_frequencies - 1, [[8], [8], [8], [4, 2]]),
        (0, [[8], [8], [8], [4], [2]]),
    ):
        counts.clear()
        monkeypatch.setattr(side_by_side, "_numbers_at_once", lambda device, at_once=at_once: at_once)
        answers_to(dict(enumerate(requests)))
        assert counts == expected


@pytest.mark.parametrize("device", ["cpu", cuda])
@pytest.mark.parametrize("n_dead", [0, 30, 63, 64])
def test_layers_with_dead_channels(n_dead, device, monkeypatch):
    monkeypatch.setattr(side_by_side, "_numbers_at_once", lambda device: 2**24)
    torch.manual_seed(0)
    layers = [nn.Conv2d(n, 64, 3, padding=1, bias=False).to(device) for n in (3, 64, 128)]
    with torch.no_grad():
        for layer in layers:
            layer.weight.mul_(5)
            layer.weight[64 - n_dead :] = 0
    clips = [SymbolClip(layer, (layer.in_channels, 16, 16)) for layer in layers]
    for layer, done in zip(layers, clip_together_(clips, 0.5, 1e-2), strict=True):
        assert done.moved == (n_dead < 64)
        norm = onelip.singular_values(layer, (layer.in_channels, 16, 16), tol=1e-4).values[0]
        assert norm <= 0.5 * 1.015
        assert norm >= 0.5 * 0.93 or n_dead == 64
        assert not layer.weight[64 - n_dead :].any()
