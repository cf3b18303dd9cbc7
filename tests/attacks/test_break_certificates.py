import dataclasses
import importlib

import pytest
import torch
from tests.certify.networks import predictions, samples, small
from torch import nn

from onelip.attacks import break_certificates
from onelip.certify import certify


@pytest.fixture(scope="module")
def linear():
    torch.manual_seed(0)
    model, x = nn.Linear(6, 3), torch.rand(9, 6)
    return certify(model, x, predictions(model, x))


def altered(certificate, factor):
    return dataclasses.replace(certificate, radii=certificate.radii * factor)


def test_a_tight_certificate_stands_and_the_report_says_how_tight(linear):
    report = break_certificates(linear, restarts=2, steps=10, neighbours=30)
    assert report.ok
    assert (report.n_samples, report.violations, report.undecided) == (9, (), 0)
    # Radii are shortened by two parts in a million.
    assert 1e-6 < report.least_gap < 1e-5
    assert {"PGD", "APGD-CE", "APGD-T", "random directions", "floating-point neighbours"} <= set(report.attacks)
    assert str(report).startswith("unbroken by PGD")
    assert report.n_points >= 9 * (3 + 32 + 60)


@pytest.mark.parametrize("factor", [1 + 1e-5, 2.0])
def test_radii_that_are_too_large_are_found(linear, factor):
    report = break_certificates(altered(linear, factor), restarts=1, steps=10, neighbours=3)
    assert not report.ok
    assert str(report).startswith("BROKEN")
    for violation in report.violations:
        assert violation.distance <= violation.radius * (1 + 1e-12)
        assert violation.margin <= 0


@pytest.mark.parametrize("attack", ["directions", "border"])
def test_each_search_finds_by_itself(linear, attack, monkeypatch):
    # Gradients that say nothing leave the random directions, and a border point to begin from.
    search = importlib.import_module("onelip.attacks.break_certificates")._Search
    monkeypatch.setattr(search, "inside", lambda self, x, y, r: [])
    for other in {"directions", "border", "above"} - {attack}:
        monkeypatch.setattr(search, other, lambda self, *arguments: None)
    if attack == "border":
        right = search.border
        monkeypatch.setattr(search, "border", lambda self, index, best: right(self, index, best + 1e-3))
    assert not break_certificates(altered(linear, 30.0), neighbours=9).ok
    assert break_certificates(linear, neighbours=9).ok


def test_a_network_of_several_layers_stands():
    model, x = small(), samples(n=4)
    certificate = certify(model, x, predictions(model, x))
    calls = []
    report = break_certificates(
        certificate, samples=3, restarts=1, steps=5, neighbours=6, batch_size=2,
        progress=lambda done, total: calls.append((done, total)),
    )  # fmt: skip
    assert report.ok
    assert report.n_samples == 3
    assert calls == [(2, 3), (3, 3)]


def test_float32_flips_are_counted_but_are_no_violation():
    # x + 1e9 is coarse in float32; the certificate is about exact arithmetic.
    model = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1), nn.Linear(1, 2)).double()
    with torch.no_grad():
        for layer, weight, bias in zip(model, (1.0, 1.0, 1.0), (1e9, -1e9, 0.0), strict=True):
            layer.weight.fill_(weight)
            layer.bias.fill_(bias)
        model[2].weight[0] = -1.0
    certificate = certify(model, torch.full((1, 1), 3.0), torch.tensor([1]))
    assert certificate.radii[0] > 2.9
    report = break_certificates(certificate, restarts=1, steps=5, neighbours=30)
    assert report.ok
    assert report.float32_flips == 1


def test_nothing_certified_is_nothing_to_break(linear):
    report = break_certificates(altered(linear, 0.0))
    assert (report.ok, report.n_samples, report.n_points) == (True, 0, 0)


def test_bad_arguments(linear):
    with pytest.raises(ValueError, match="neighbours=2, batch_size=128"):
        break_certificates(linear, neighbours=2)
    with pytest.raises(ValueError, match="restarts=0"):
        break_certificates(linear, restarts=0)


def test_a_sample_that_is_itself_misclassified_is_found(linear):
    # What float64 says of it, and how sure it is, is not asked.
    labels = (linear.labels + 1) % 3
    report = break_certificates(dataclasses.replace(linear, labels=labels, predictions=labels), samples=1, neighbours=3)
    assert report.violations[0].attack == "the sample itself"
    assert report.violations[0].distance == 0
