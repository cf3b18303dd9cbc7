"""BatchCentering: a translation in eval, the batch's mean in training."""

from __future__ import annotations

import pytest
import torch
from tests.layers.activations import singular_values

from onelip.layers import BatchCentering, Normalize


@pytest.mark.parametrize("shape", [(5, 3), (5, 3, 4), (5, 3, 2, 2)])
def test_training_centres_each_channel_and_eval_is_a_translation(shape: tuple[int, ...]) -> None:
    layer = BatchCentering(3, dtype=torch.float64)
    x = 2 + torch.randn(shape, dtype=torch.float64)
    y = layer(x)
    axes = [0, *range(2, len(shape))]
    assert float(y.detach().mean(axes).abs().max()) < 1e-14
    assert torch.allclose((x - y).detach().amax(axes), x.mean(axes), rtol=0, atol=1e-14)
    values = singular_values(layer.eval(), x[:1])
    assert torch.equal(values, torch.ones_like(values))
    shift = (layer(x) - x).detach()
    assert torch.allclose(shift.amax(axes), -0.1 * x.mean(axes), rtol=0, atol=1e-14)


def test_plain_form_has_unit_deviations() -> None:
    layer = BatchCentering(3)
    with torch.no_grad():
        layer.bias.copy_(torch.tensor([1.0, 2.0, 3.0]))  # type: ignore[union-attr]
    layer.running_mean.fill_(0.5)
    plain = layer.to_plain()
    assert isinstance(plain, Normalize)
    assert plain.mean.tolist() == [-0.5, -1.5, -2.5]
    assert plain.std.tolist() == [1, 1, 1]
    assert plain.lipschitz_bound().value == layer.lipschitz_bound().value == 1


def test_gradients_pass_through_the_batch_mean() -> None:
    x = torch.randn(6, 2, requires_grad=True)
    (BatchCentering(2)(x) * torch.arange(6.0)[:, None]).sum().backward()
    assert x.grad is not None
    assert torch.allclose(x.grad, (torch.arange(6.0) - 2.5)[:, None].expand(6, 2))
