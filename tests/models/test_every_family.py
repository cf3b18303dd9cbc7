"""One small network of each published family: its constant against Jacobians, its files and its certificate."""

import pytest
import torch
from tests.models.test_registry import SMALL, small

from onelip import layers
from onelip.bounds import lipschitz_bound
from onelip.certify import certify, verify

FAMILIES = (
    "lipconvnet-5",
    "patchnet",
    "patch-cnn",
    "conv-mixer",
    "staged-cnn",
    "large-staged-cnn",
    "bcop-large",
    "split-concat-net-m",
    "lip-resnet",
    "lip-vgg",
    "sll-resnet50",
    "aol-small",
    "aol-fc",
    "aol-conv",
    "aol-std",
    "cpl-s",
    "sll-s",
    "sandwich-net",
    "fc-3",
)


def made(name, **more):
    # Weights with a spread of their own, and running statistics that are not those of a fresh network.
    torch.manual_seed(0)
    model = small(name, **more)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    layers.retract_(model)
    model(torch.randn(8, *SMALL[name][0]))
    return model.eval()


def largest_slope(model, shape, n_points=3):
    x = torch.randn(n_points, *shape, dtype=torch.float64, requires_grad=True)
    logits = model(x)
    rows = [torch.autograd.grad(logits[:, i].sum(), x, retain_graph=True)[0].flatten(1) for i in range(3)]
    return float(torch.linalg.matrix_norm(torch.stack(rows, 1), ord=2).amax())


@pytest.mark.parametrize("name", FAMILIES)
def test_no_jacobian_exceeds_the_proved_constant(name):
    model, shape = made(name).double(), SMALL[name][0]
    bound = lipschitz_bound(model, shape)
    assert bound.proved
    assert bound.value <= 1 + 1e-5
    assert 1e-4 < largest_slope(model, shape) <= bound.value * (1 + 1e-12)


@pytest.mark.parametrize("name", FAMILIES)
def test_its_state_is_loaded_strictly(name):
    model, other = made(name), small(name).eval()
    x = torch.rand(2, *SMALL[name][0])
    assert not torch.equal(other(x), model(x))
    other.load_state_dict(model.state_dict(), strict=True)
    assert torch.equal(other(x), model(x))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("patchnet", {"norm": "batch-lip-norm"}),
        ("lip-resnet", {"head": "unit-norm"}),
        ("sll-resnet50", {}),
        ("sll-s", {"head": "unit-norm"}),
        ("aol-small", {"layer": "aol"}),
        ("lipconvnet-5", {"layer": "soc"}),
    ],
)
def test_its_certificate_is_proved_again(name, options, tmp_path):
    model = made(name, **options)
    images = torch.rand(3, *SMALL[name][0])
    certificate = certify(model, images, model(images).argmax(1))
    assert certificate.bound.proved
    assert verify(certificate.save(tmp_path / "certificate")).ok
