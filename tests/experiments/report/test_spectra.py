"""Singular values for pictures, against dense matrices."""

import pytest
import torch
from torch import nn

from onelip.certify import certify
from onelip.experiments.report import spectra
from onelip.experiments.report.spectra import conv_spectrum, layer_spectra, matrix_spectrum


def dense(module: nn.Module, shape: tuple[int, ...]) -> torch.Tensor:
    eye = torch.eye(torch.Size(shape).numel(), dtype=torch.float64).view(-1, *shape)
    return torch.linalg.svdvals(module(eye).flatten(1))


def test_every_affine_layer_of_a_network_has_its_dense_spectrum():
    torch.manual_seed(0)
    conv = nn.Conv2d(2, 6, 3, padding=1, padding_mode="circular", stride=2, bias=False)
    network = nn.Sequential(conv, nn.Flatten(), nn.Linear(54, 5, bias=False))
    certificate = certify(network, torch.rand(3, 2, 6, 6), torch.tensor([0, 1, 2]))
    found = layer_spectra(certificate.network, certificate.bound.layers)
    assert sorted(found) == ["0", "2"]
    for name, shape in (("0", (2, 6, 6)), ("2", (54,))):
        module = network[int(name)].double()
        assert torch.allclose(found[name].values, dense(module, shape), atol=1e-6)
        assert found[name].partial == ""


def test_a_transposed_convolution_is_decomposed_at_its_output():
    network = nn.Sequential(nn.ConvTranspose2d(2, 3, 1, stride=2, bias=False), nn.Flatten())
    certificate = certify(network, torch.rand(1, 2, 3, 3), torch.tensor([0]))
    found = layer_spectra(certificate.network, certificate.bound.layers)["0"]
    expected = dense(network[0].double(), (2, 3, 3))
    assert torch.allclose(found.values[: len(expected)], expected, atol=1e-6)


def test_a_costly_convolution_gives_some_of_its_true_values(monkeypatch):
    kernel = torch.randn(4, 3, 3, 3)
    whole = conv_spectrum(kernel, (12, 12), (1, 1), (1, 1), 1)
    monkeypatch.setattr(spectra, "WORK", 12 * 36.0)
    part = conv_spectrum(kernel, (12, 12), (1, 1), (1, 1), 1)
    assert 0 < len(part.values) < len(whole.values) == 3 * 144
    nearest = (part.values[:, None] - whole.values).abs().amin(1)
    assert nearest.max() < 1e-9
    assert part.partial.endswith("frequencies")


@pytest.mark.parametrize(("shape", "word"), [((40, 50), "rows"), ((50, 40), "columns")])
def test_of_a_large_matrix_a_part_is_decomposed_and_named(monkeypatch, shape, word):
    monkeypatch.setattr(spectra, "LARGEST_SIDE", 16)
    matrix = torch.linalg.qr(torch.randn(50, 40, dtype=torch.float64)).Q
    found = matrix_spectrum(matrix if shape == (50, 40) else matrix.mT)
    assert len(found.values) == 16
    assert torch.allclose(found.values, torch.ones(16, dtype=torch.float64))
    assert found.partial == f"of 16 of its 40 {word}"


def test_an_image_that_the_stride_does_not_divide_is_padded():
    assert len(conv_spectrum(torch.randn(4, 1, 2, 2), (7, 5), (2, 2), (1, 1), 1).values) == 12 * 4
