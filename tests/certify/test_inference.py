import pytest
import torch
from tests.certify.networks import predictions, rich, samples

from onelip.certify import certify, run
from onelip.certify.forward import evaluate


@pytest.fixture(scope="module")
def certified():
    model, x = rich(), samples(n=4)
    return model, x, certify(model, x, predictions(model, x), semantics="executed-float64")


def test_runs_the_frozen_network_in_float64(certified):
    model, x, certificate = certified
    logits = run(certificate, x)
    assert logits.dtype == torch.float64
    assert torch.equal(logits, evaluate(certificate.network, x.double())[0])
    with torch.no_grad():
        torch.testing.assert_close(logits, model.double()(x.double()))
    model.float()


def test_answers_within_the_radii_are_the_labels(certified):
    _, x, certificate = certified
    labels, radii = torch.from_numpy(certificate.labels), torch.from_numpy(certificate.radii)
    step = torch.randn(x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    moved = x + step * (radii * 0.999 / step.flatten(1).norm(dim=1))[:, None, None, None]
    assert torch.equal(run(certificate, moved).argmax(1), labels)


def test_autocast_does_not_lower_the_precision(certified):
    _, x, certificate = certified
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(run(certificate, x), run(certificate, x.double()))


@pytest.mark.parametrize("images", [torch.zeros(2, 2, 6, 5), torch.zeros(2, 2, 6, 6, dtype=torch.uint8)])
def test_other_images_are_refused(certified, images):
    with pytest.raises(ValueError, match=r"in run must be floating-point pixels of shape \('N', 2, 6, 6\)"):
        run(certified[2], images)
