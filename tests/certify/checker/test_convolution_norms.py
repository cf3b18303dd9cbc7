"""The checker proves the prover's norms at one image size again, and refuses lower ones."""

import pytest
import torch
from tests.linalg.convolution.image_sizes import MODES, cases, transposed_cases, true_norm
from torch import nn

from onelip import certify, lipschitz_bound, verify
from onelip.certify.checker import convolution_norms
from onelip.certify.checker.convolution_norms import padded_norm, transposed_norm
from onelip.certify.checker.errors import VerificationError
from onelip.linalg import conv_norm_at, conv_transpose_norm_at
from onelip.linalg.convolution import norm_at

CLAIM_SLACK = 1e-9
"""What certificates add to a proved constant."""

TOO_LOW = 0.999


def checked(case, claimed):
    weight, options = case.weight.double().numpy(), case.options
    common = weight, case.shape[1:], options["stride"], options["dilation"], options["groups"]
    if case.transposed:
        return transposed_norm(*common, options["padding"], options["output_padding"], claimed)
    return padded_norm(*common, options["pads"], options["mode"], claimed)


def agrees(case):
    prove = conv_transpose_norm_at if case.transposed else conv_norm_at
    bound = prove(case.weight, case.shape[1:], **case.options).value
    claimed = bound * (1 + CLAIM_SLACK)
    assert checked(case, claimed) <= claimed
    exact = true_norm(case.layer, case.shape)
    assert checked(case, exact * TOO_LOW) >= exact * (1 - 1e-12)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("axes", "n"), [(1, 8), (2, 12), (3, 5)])
def test_padded(axes, n, mode):
    for case in cases(n, axes, (mode,), seed=8):
        agrees(case)


@pytest.mark.parametrize(("axes", "n"), [(1, 8), (2, 12), (3, 5)])
def test_transposed(axes, n):
    for case in transposed_cases(n, axes, seed=9):
        agrees(case)


@pytest.mark.parametrize("mode", MODES)
def test_claims_by_frequencies_and_pixels_are_proved_again(monkeypatch, mode):
    for name in ("_CHEAP", "_USUAL"):
        monkeypatch.setattr(norm_at, name, 0.0)
    monkeypatch.setattr(norm_at, "_FAIR", 1e9)
    monkeypatch.setattr(convolution_norms, "_USUAL", 0.0)
    monkeypatch.setattr(norm_at, "_LOOSE", 1e9)
    for case in cases(4, 2, (mode,), seed=10):
        agrees(case)


@pytest.mark.parametrize("claimed", [0.0, float("inf"), 1e300, 1e-300, 5e-324])
def test_any_claim(claimed):
    (case,) = cases(1, 2, seed=11)
    assert checked(case, claimed) >= true_norm(case.layer, case.shape) * (1 - 1e-12)


def test_refused():
    with pytest.raises(VerificationError, match="groups=2 do not divide"):
        padded_norm(torch.ones(3, 1, 3).numpy(), (4,), (1,), (1,), 2, ((0, 0),), "zeros", 1.0)


def test_a_zero_padded_network_is_certified_at_its_image_size(tmp_path):
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, stride=2, padding=1, padding_mode="reflect"),
        nn.ReLU(),
        nn.ConvTranspose2d(4, 2, 3),
        nn.Flatten(),
        nn.Linear(2 * 6 * 6, 3),
    ).eval()
    here, anywhere = (lipschitz_bound(model, (1, 8, 8), size_free=free).value for free in (False, True))
    assert here < 0.8 * anywhere
    x = torch.rand(4, 1, 8, 8)
    certify(model, x, model(x).argmax(1)).save(tmp_path)
    outcome = verify(tmp_path)
    assert outcome.ok, outcome.messages
    assert outcome.lipschitz_proved == pytest.approx(here, rel=2e-6)
