"""Projections of weights against NumPy, and where in a network they are applied."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import nn
from torch.nn.utils import parametrizations

from onelip import lipschitz_bound
from onelip.layers import BjorckLinear
from onelip.tasks import project_weight
from onelip.tasks.weight_projections import ordinary_layers, project_layer_

KINDS = ("l2", "l2-ball", "l-infinity", "l-infinity-scaled", "parseval")


def matrices(scale=1.0, dtype=torch.float64):
    return scale * torch.randn(3, 5, 7, dtype=dtype, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("max_norm", [1.0, 0.3, 4.0])
def test_l2_is_the_polar_factor_and_the_ball_clips_singular_values(max_norm):
    w = matrices()
    u, s, vh = np.linalg.svd(w.numpy(), full_matrices=False)
    polar, clipped = project_weight(w, "l2", max_norm=max_norm), project_weight(w, "l2-ball", max_norm=max_norm)
    np.testing.assert_allclose(polar.numpy(), max_norm * u @ vh, atol=1e-9)
    np.testing.assert_allclose(clipped.numpy(), (u * np.minimum(s, max_norm)[:, None]) @ vh, atol=1e-12)
    assert (s > max_norm).any()


@pytest.mark.parametrize("max_norm", [1.0, 0.5])
def test_rows_in_the_maximum_norm(max_norm):
    w = matrices()[:1, :2, :4]
    nearest = project_weight(w, "l-infinity", max_norm=max_norm).numpy()[0]
    scaled = project_weight(w, "l-infinity-scaled", max_norm=max_norm).numpy()[0]
    for row, near, divided in zip(w[0].numpy(), nearest, scaled, strict=True):
        np.testing.assert_allclose(divided, row / max(1, np.abs(row).sum() / max_norm))
        # The projection as a quadratic programme in the positive and negative parts.
        found = minimize(
            lambda z, row=row: np.sum((z[:4] - z[4:] - row) ** 2),
            np.zeros(8),
            bounds=[(0, None)] * 8,
            constraints={"type": "ineq", "fun": lambda z: max_norm - z.sum()},
            method="SLSQP",
            options={"ftol": 1e-14, "maxiter": 500},
        )
        np.testing.assert_allclose(near, found.x[:4] - found.x[4:], atol=1e-5)


def test_parseval_takes_steps_of_the_published_map():
    w = matrices(0.1)
    w = w / torch.linalg.matrix_norm(w, 2)[:, None, None] * 0.8
    expected = w
    for _ in range(3):
        expected = 1.2 * expected - 0.2 * expected @ expected.mT @ expected
    torch.testing.assert_close(project_weight(w, "parseval", iterations=3, beta=0.2), expected)
    once = project_weight(w, "parseval")
    torch.testing.assert_close(once, 1.5 * w - 0.5 * w @ w.mT @ w)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 50.0])
def test_no_result_is_longer_than_allowed(kind, scale):
    options = {"iterations": 2} if kind in ("l2", "parseval") else {}
    w = project_weight(matrices(scale, torch.float32), kind, max_norm=0.7, **options)
    order = float("inf") if kind.startswith("l-inf") else 2
    assert float(torch.linalg.matrix_norm(w.double(), order).max()) <= 0.7 * (1 + 1e-5)
    assert w.dtype == torch.float32


@pytest.mark.parametrize("kind", ["l2-ball", "l-infinity", "l-infinity-scaled"])
def test_what_is_inside_stays(kind):
    w = matrices(1e-2)
    assert torch.equal(project_weight(w, kind), w)


def test_iterations_count():
    w = matrices()
    errors = [
        float((project_weight(w, "l2", iterations=n) @ project_weight(w, "l2", iterations=n).mT - torch.eye(5)).norm())
        for n in (1, 3, 9)
    ]
    assert errors[0] > errors[1] > errors[2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "l3"}, "did you mean"),
        ({"kind": "l2-ball", "iterations": 3}, "iterations=3 .* has no effect on kind='l2-ball'"),
        ({"kind": "l2", "iterations": 0}, "iterations=0"),
        ({"kind": "l2", "beta": 0.5}, r"beta=0\.5 .* has no effect on kind='l2'"),
        ({"kind": "parseval", "beta": 0.6}, r"beta=0\.6"),
        ({"kind": "l2", "max_norm": 0.0}, r"max_norm=0\.0"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        project_weight(matrices(), **options)


def test_ordinary_layers_are_those_of_torch_without_norms_and_parametrisations():
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)), BjorckLinear(4, 4),
        parametrizations.spectral_norm(nn.Linear(4, 4)), nn.ConvTranspose2d(4, 4, 2), nn.Conv1d(4, 4, 1),
    )  # fmt: skip
    assert list(ordinary_layers(model)) == ["0", "2.0", "5", "6"]


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_convolutions_are_projected_as_matrices_of_groups(kind, groups):
    torch.manual_seed(0)
    layer = nn.Conv2d(4, 6, 3, groups=groups)
    old = layer.weight.detach().clone()
    project_layer_(layer, kind, max_norm=0.1)
    for new, before in zip(layer.weight.detach().chunk(groups), old.chunk(groups), strict=True):
        expected = project_weight(before.flatten(1), kind, max_norm=0.1)
        torch.testing.assert_close(new.flatten(1), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", ["l-infinity", "l-infinity-scaled"])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("layer_type", [nn.Conv2d, nn.ConvTranspose2d])
def test_in_the_maximum_norm_the_constant_is_proved_to_be_the_limit(layer_type, groups, kind):
    torch.manual_seed(0)
    layer = layer_type(4, 6, 3, groups=groups)
    with torch.no_grad():
        layer.weight.mul_(10)
    project_layer_(layer, kind, max_norm=0.5)
    assert lipschitz_bound(layer, (4, 5, 5), norm="linf").value == pytest.approx(0.5, rel=1e-5)


def test_a_transposed_convolution_in_l2_is_the_one_it_transposes():
    torch.manual_seed(0)
    layer, conv = nn.ConvTranspose2d(4, 6, 2), nn.Conv2d(6, 4, 2)
    with torch.no_grad():
        conv.weight.copy_(layer.weight)
    project_layer_(layer, "l2")
    project_layer_(conv, "l2")
    assert torch.equal(layer.weight, conv.weight)
