"""SOC: the exponential, orthogonal under both paddings, in training and in eval alike."""

from __future__ import annotations

import pytest
import torch

from onelip.layers import ChannelKeep, ChannelPad, SkewSeries2d, SOCConv2d, to_plain
from onelip.linalg import transpose


@pytest.mark.parametrize("mode", ["zeros", "circular"])
@pytest.mark.parametrize(("inputs", "outputs", "kernel"), [(4, 4, 3), (3, 5, 1), (5, 3, (1, 5))])
def test_orthogonal_in_training_and_in_eval(mode: str, inputs: int, outputs: int, kernel: int) -> None:
    layer = SOCConv2d(inputs, outputs, kernel, padding="same", padding_mode=mode)
    x = torch.zeros(1, inputs, 4, 5)
    for training in (False, True):
        layer.train(training)
        values = torch.linalg.svdvals(torch.func.jacrev(layer)(x).detach().reshape(-1, x.numel()).double())
        assert float(values[0]) <= 1 + 1e-6
        assert float(values[-1]) >= 1 - 2e-5
    assert layer.lipschitz_bound().value <= 1 + 1e-6


def test_approaches_the_matrix_exponential() -> None:
    layer = SOCConv2d(3, 3, 3, padding=1, bias=False, dtype=torch.float64, n_terms=14)
    x = torch.zeros(1, 3, 4, 4, dtype=torch.float64)
    operator = SkewSeries2d(layer.weight, None, (0.0, 1.0))
    a = torch.func.jacrev(operator)(x).detach().reshape(48, 48)
    found = torch.func.jacrev(layer)(x).detach().reshape(48, 48)
    assert torch.allclose(a, -a.T, rtol=0, atol=1e-16)
    assert torch.allclose(found, torch.linalg.matrix_exp(a), rtol=0, atol=1e-12)


@pytest.mark.parametrize("mode", ["zeros", "circular"])
@pytest.mark.parametrize("n_terms", [6, 7, 12])
@pytest.mark.parametrize(("channels", "kernel", "size"), [(3, 1, 3), (3, 5, 6), (12, 3, 4), (2, (1, 5), 6)])
def test_truncation_never_exceeds_one(channels: int, kernel: int, size: int, n_terms: int, mode: str) -> None:
    layer = SOCConv2d(
        channels, channels, kernel, padding="same", padding_mode=mode, dtype=torch.float64, n_terms=n_terms
    )
    x = torch.eye(channels * size**2, dtype=torch.float64).view(-1, channels, size, size)
    for scale in (1e-3, 1.0, 1e3):
        with torch.no_grad():
            layer.raw_weight.mul_(scale)
        for training in (True, False):
            y = layer.train(training)(x) - layer(torch.zeros_like(x[:1]))
            values = torch.linalg.svdvals(y.detach().flatten(1))
            assert 1 - 2e-5 <= float(values[-1]) <= float(values[0]) <= 1 + 1e-13


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e3, 1e30])
def test_skew_kernel_is_exact_and_free_of_scale(scale: float) -> None:
    layer = SOCConv2d(4, 4, 3, padding=1, groups=2)
    before = layer.weight.detach().clone()
    with torch.no_grad():
        layer.raw_weight.mul_(scale)
    for training in (True, False):
        weight = layer.train(training).weight.detach()
        assert torch.equal(weight, -transpose(weight, 2))
        assert torch.allclose(weight, before * bool(scale), rtol=1e-5, atol=1e-7)


def test_plain_form_pads_and_keeps_channels() -> None:
    x = torch.randn(2, 3, 5, 5)
    wide, narrow = SOCConv2d(3, 5, 3, padding=1), SOCConv2d(3, 2, 3, padding=1)
    assert [type(m) for m in to_plain(wide)] == [ChannelPad, SkewSeries2d]  # type: ignore[attr-defined]
    assert [type(m) for m in to_plain(narrow)] == [SkewSeries2d, ChannelKeep]  # type: ignore[attr-defined]
    for layer in (wide, narrow):
        assert torch.allclose(to_plain(layer)(x), layer.eval()(x), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"kernel_size": 2}, r"kernel_size=\(2, 2\) in SOCConv2d must be odd"),
        ({"stride": 2, "padding": 0}, r"stride=\(2, 2\) in SOCConv2d must be 1"),
        ({"padding": 0}, r"padding=\(0, 0\) in SOCConv2d must be 'same'"),
        ({"n_terms": 5}, "n_terms=5 in SOCConv2d must be at least 6"),
    ],
)
def test_refusals(options: dict[str, object], match: str) -> None:
    arguments = {"in_channels": 4, "out_channels": 4, "kernel_size": 3, "padding": "same", **options}
    with pytest.raises(ValueError, match=match):
        SOCConv2d(**arguments)  # type: ignore[arg-type]


def test_a_free_angle_is_learned_and_bounded() -> None:
    layer = SOCConv2d(4, 4, 3, padding=1, n_terms=13, largest_angle=2.5, dtype=torch.float64)
    assert float(layer.angle.detach()) == pytest.approx(0.7)
    fixed = SOCConv2d(4, 4, 3, padding=1, n_terms=13, dtype=torch.float64)
    fixed.load_state_dict({"raw_weight": layer.raw_weight, "bias": layer.bias})
    torch.testing.assert_close(layer.weight, fixed.weight)
    layer(torch.randn(2, 4, 5, 5, dtype=torch.float64)).square().mean().backward()
    assert float(layer.angle.grad.abs()) > 0
    wide = layer.weight.detach() * 3
    layer.weight = wide
    torch.testing.assert_close(layer.weight, wide)
    with torch.no_grad():
        layer.angle.fill_(99.0)
    x = torch.randn(1, 4, 5, 5, dtype=torch.float64)
    # Orthogonal but for the bias, also at the largest angle.
    assert float((layer(x) - layer(0 * x)).detach().norm() / x.norm()) == pytest.approx(1, abs=3e-5)
    assert layer.lipschitz_bound().value <= 1 + 1e-6


def test_a_wide_angle_needs_terms_to_stay_orthogonal() -> None:
    assert SOCConv2d(4, 4, 3, padding=1, n_terms=13, largest_angle=2.5).orthogonal
    layer = SOCConv2d(4, 4, 3, padding=1, largest_angle=2.5, dtype=torch.float64)
    assert not layer.orthogonal
    with torch.no_grad():
        layer.angle.fill_(2.5)
    x = torch.randn(1, 4, 5, 5, dtype=torch.float64)
    assert float((layer(x) - layer(0 * x)).detach().norm() / x.norm()) < 0.999
    assert layer.lipschitz_bound().value <= 1 + 1e-6
    with pytest.raises(ValueError, match=r"largest_angle=0\.5 in SOCConv2d must be from 0\.7 to pi"):
        SOCConv2d(4, 4, 3, padding=1, largest_angle=0.5)
