"""The linear part of a map and its adjoint, without side effects; what is not affine is refused by name."""

from __future__ import annotations

import pytest
import torch
from tests.spectral.operators import dense
from torch import nn

from onelip import layers
from onelip.spectral import AffineMap, NotAffineError


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), (2, 5, 6)),
        (nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.BatchNorm1d(4)), (3, 2, 2)),
        (nn.ConvTranspose1d(2, 3, 3, stride=2, bias=False), (2, 5)),
        (layers.conv2d("aol", 2, 3, 3), (2, 5, 5)),
        (lambda x: x.cumsum(1) + 1, (4,)),
        (lambda x: x.new_ones(len(x), 3), (4,)),
    ],
)
def test_adjoint_is_the_transpose(function, shape):
    operator = AffineMap(function, shape)
    matrix = dense(operator)
    transposed = operator.adjoint(torch.eye(operator.n_outputs)).double()
    assert torch.allclose(matrix, transposed, atol=1e-6)
    x = torch.randn(3, operator.n_inputs)
    images = operator.apply(x, for_adjoint=True)
    assert torch.allclose(images.double(), x.double() @ matrix.mT, atol=1e-5)
    assert torch.allclose(operator.adjoint(images).double(), images.double() @ matrix, atol=1e-5)
    assert not images.requires_grad


def test_a_large_offset_does_not_drown_the_map():
    linear = nn.Linear(4, 3)
    with torch.no_grad():
        linear.weight.mul_(1e-12)
        linear.bias.fill_(100.0)
    for function in (linear, nn.Sequential(linear), lambda x: x @ linear.weight.mT + linear.bias):
        operator = AffineMap(function, (4,))
        assert torch.allclose(dense(operator), linear.weight.double(), rtol=1e-3, atol=0.0)


def test_low_precision_is_computed_in_float32_and_casts_on_request():
    half = nn.Sequential(nn.Conv2d(2, 3, 3).half(), nn.BatchNorm2d(3).half())
    operator = AffineMap(half, (2, 4, 4))
    assert operator.dtype == torch.float32
    assert all(p.dtype == torch.float16 for p in half.parameters())
    double = AffineMap(half, (2, 4, 4), dtype=torch.float64)
    assert torch.allclose(dense(operator), dense(double), atol=1e-6)
    assert not torch.equal(dense(operator), dense(double))


def test_parameters_made_in_inference_mode():
    with torch.inference_mode():
        model = nn.Sequential(nn.Linear(3, 2))
    operator = AffineMap(model, (3,))
    assert torch.allclose(operator.adjoint(torch.eye(2)), operator.apply(torch.eye(3)).mT)


@pytest.mark.parametrize(
    ("function", "shape", "message"),
    [
        (nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU()), (2, 5, 5), "its part '1', ReLU, is not affine"),
        (nn.Sequential(nn.Linear(4, 4), nn.Sequential(layers.MaxMin(), nn.Linear(4, 2))), (4,), "'1.0', MaxMin"),
        (nn.Sequential(nn.MaxPool2d(2), nn.ReLU()), (1, 4, 4), "its part '0', MaxPool2d"),
        (nn.BatchNorm2d(3, track_running_stats=False), (3, 2, 2), "^BatchNorm2d is not affine"),
        (nn.Hardtanh(-1000.0, 1000.0), (3,), "^Hardtanh is not affine"),
        (nn.Softshrink(0.1), (30,), "^Softshrink is not affine"),
        (torch.sin, (3,), "^sin is not affine"),
        (lambda x: x - x.mean(0), (3,), "is not affine"),
    ],
)
def test_what_is_not_affine_is_refused(function, shape, message):
    with pytest.raises(NotAffineError, match=message):
        AffineMap(function, shape)


def test_finding_the_part_leaves_no_hook():
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    with pytest.raises(NotAffineError):
        AffineMap(model, (3,))
    assert not any(module._forward_hooks for module in model.modules())
    # A hook makes any module another function.
    model[0].register_forward_hook(lambda module, inputs, output: output.relu())
    with pytest.raises(NotAffineError):
        AffineMap(model[0], (3,))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("module", [nn.Linear(3, 2), nn.Conv2d(2, 2, 3), nn.Sequential(nn.BatchNorm1d(3))])
def test_weights_that_are_not_finite(module, value):
    module = type(module)(*module) if isinstance(module, nn.Sequential) else module
    with torch.no_grad():
        next(module.parameters()).view(-1)[0] = value
    shape = (2, 4, 4) if isinstance(module, nn.Conv2d) else (3,)
    with pytest.raises(ValueError, match="NaN or infinite values"):
        AffineMap(module, shape)


def test_shapes():
    assert AffineMap(nn.Linear(3, 2)).input_shape == (3,)
    assert AffineMap(layers.linear("aol", 5, 4)).output_shape == (4,)
    conv = nn.Conv2d(2, 3, 3)
    with pytest.raises(ValueError, match="input_shape=None, but Conv2d accepts inputs of several shapes"):
        AffineMap(conv)
    with pytest.raises(ValueError, match="Conv2d does not accept input_shape=\\(3, 5, 5\\)"):
        AffineMap(conv, (3, 5, 5))
    with pytest.raises(ValueError, match="must be positive integers, without the batch"):
        AffineMap(conv, (2, 0, 5))
    with pytest.raises(ValueError, match="must return one real tensor"):
        AffineMap(lambda x: (x, x), (3,))
    with pytest.raises(ValueError, match="must return one real tensor"):
        AffineMap(lambda x: x.sum(), (3,))


def test_a_method_of_a_module():
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Sequential(nn.Linear(3, 2, dtype=torch.float64), nn.Dropout())

        def features(self, x):
            return self.inner(x)

    model = Model().train()
    operator = AffineMap(model.features, (3,))
    assert operator.module is model
    assert torch.allclose(dense(operator), model.inner[0].weight)
    assert model.training
