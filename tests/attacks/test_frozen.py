import pytest
import torch
from tests.certify.networks import around, rich, samples, small
from torch import nn

from onelip.attacks.frozen import FrozenModule, reordered
from onelip.certify.export import freeze
from onelip.certify.forward import evaluate


@pytest.mark.parametrize("build", [small, rich, around])
def test_values_and_gradients_are_those_of_the_model(build):
    model, x = build(), samples(n=3)
    frozen = FrozenModule(freeze(model, (2, 6, 6)).network)
    double = build().double()
    for dtype, module, rtol in ((torch.float32, model, 1e-4), (torch.float64, double, 1e-9)):
        p, q = (x.to(dtype).requires_grad_() for _ in range(2))
        ours, theirs = frozen(p), module(q)
        assert ours.dtype == dtype
        assert torch.allclose(ours, theirs, rtol=rtol, atol=rtol)
        weights = torch.arange(1.0, ours.shape[1] + 1).to(dtype)
        (a,), (b,) = (torch.autograd.grad((z * weights).sum(), v) for z, v in ((ours, p), (theirs, q)))
        assert torch.allclose(a, b, rtol=10 * rtol, atol=10 * rtol)


def test_errors_are_known_in_float64_alone_and_nothing_is_recorded_unasked():
    network, x = freeze(small(), (2, 6, 6)).network, samples(n=2)
    assert torch.isinf(evaluate(network, x)[1]).all()
    logits, errors = evaluate(network, x.double())
    assert torch.isfinite(errors).all()
    assert not logits.requires_grad


@pytest.mark.parametrize("parts", [2, 3])
def test_other_orders_are_the_same_function_rounded_otherwise(parts):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=2), nn.Flatten(2), nn.Linear(4, 5), nn.Flatten(),
        nn.Linear(40, 3),
    )  # fmt: skip
    network, x = freeze(model, (2, 6, 6)).network, samples(n=20).double()
    other = reordered(network, parts)
    assert len(other.nodes) > len(network.nodes)
    before, after = evaluate(network, x)[0], evaluate(other, x)[0]
    assert torch.allclose(before, after, rtol=1e-12)
    assert not torch.equal(before, after)
