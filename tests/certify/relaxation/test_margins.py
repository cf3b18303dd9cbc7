"""Margins by relaxation against grids, searches, the papers' formulas, and the constant of the network."""

import importlib.util

import numpy as np
import pytest
import torch
from tests.certify.relaxation.dense import frozen, least_margins, points_of_ball
from torch import nn

import onelip
from onelip import layers as L
from onelip.attacks import l2_pgd
from onelip.certify import relaxed_margins

METHODS = ("crown", "kw", "crown-ibp", "ibp")


def _plane(activation, seed=0, width=12):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(2, width), activation, nn.Linear(width, width), activation, nn.Linear(width, 3)
    ).eval()


def _image(activation):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), activation, nn.Conv2d(4, 6, 3, stride=2, padding=1), activation, nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(24, 3),
    ).eval()  # fmt: skip


@pytest.mark.parametrize("activation", [nn.ReLU(), L.MaxMin(), L.GroupSort(2), L.Abs(), nn.LeakyReLU(0.1)], ids=repr)
@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_no_point_of_a_grid_is_below_the_bound(activation, norm):
    model = _plane(activation)
    network, x = frozen(model, (2,)), torch.rand(3, 2)
    labels = model(x).argmax(1)
    line = torch.linspace(-1, 1, 101, dtype=torch.float64)
    grid = torch.cartesian_prod(line, line)
    grid = grid[grid.norm(dim=1) <= 1] if norm == "l2" else grid
    for radius in (0.05, 0.3, 1.0):
        true = least_margins(model, x.double()[:, None] + radius * grid, labels)
        # Nothing wrong with the ball that is searched: at the worst its corners are a step away.
        for method in METHODS:
            found = relaxed_margins(network, x, labels, radius, norm=norm, method=method, constants=method != "kw")
            others = torch.isfinite(found)
            assert int(others.sum()) == 6
            assert bool((found[others] <= true[others] + 1e-12).all())
        best = relaxed_margins(network, x, labels, radius, norm=norm)
        assert float((true - best)[others].mean()) < 3 * radius


@pytest.mark.parametrize("activation", [nn.ReLU(), L.MaxMin()], ids=repr)
@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_no_search_in_images_finds_less(activation, norm):
    model = _image(activation)
    network, x = frozen(model, (1, 8, 8)), torch.rand(4, 1, 8, 8)
    labels = model(x).argmax(1)
    points = points_of_ball(x, 0.1, norm, 400)
    attacked = l2_pgd(model.double(), x.double(), labels, 0.1, box=(-1.0, 2.0))[:, None]
    points = torch.cat([points, attacked], 1)
    for method in METHODS:
        found = relaxed_margins(network, x, labels, 0.1, norm=norm, method=method)
        others = torch.isfinite(found)
        assert bool((found <= least_margins(model, points, labels) + 1e-12)[others].all())


def test_convolutions_are_their_dense_matrices():
    model = _image(nn.ReLU())[:4]
    parts, shape = [nn.Flatten()], (1, 8, 8)
    for layer in model:
        if isinstance(layer, nn.Conv2d):
            size = torch.Size(shape).numel()
            basis = torch.eye(size).reshape(-1, *shape)
            with torch.no_grad():
                offset = layer(torch.zeros(1, *shape))
                matrix = (layer(basis) - layer.bias[:, None, None]).flatten(1).T
            dense = nn.Linear(size, len(matrix))
            dense.weight.data, dense.bias.data = matrix.contiguous(), offset.flatten()
            shape = tuple(offset.shape[1:])
            parts.append(dense)
        else:
            parts.append(layer)
    head = nn.Linear(torch.Size(shape).numel(), 3)
    x, labels = torch.rand(3, 1, 8, 8), torch.tensor([0, 1, 2])
    networks = [frozen(nn.Sequential(*body, head), (1, 8, 8)) for body in ([*model, nn.Flatten()], parts)]
    for norm in ("l2", "linf"):
        a, b = (relaxed_margins(n, x, labels, 0.2, norm=norm, constants=False) for n in networks)
        others = torch.isfinite(a)
        # The kernels were read off in float32.
        assert torch.allclose(a[others], b[others], atol=1e-5)


def _textbook(weights, biases, x, radius, norm, adaptive):
    """CROWN of a network of one or two hidden ReLU layers, as in the paper, with matrices, for one sample."""
    order = 2 if norm == "l2" else 1

    def ends(a, b):
        reach = radius * np.linalg.norm(a, ord=order, axis=1)
        return a @ x + b - reach, a @ x + b + reach

    low, high = ends(weights[0], biases[0])
    lines = []
    for depth in range(1, len(weights)):
        chord = np.where(low >= 0, 1.0, np.where(high <= 0, 0.0, high / (high - low)))
        gap = np.where((low < 0) & (high > 0), -high * low / (high - low), 0.0)
        below = np.where((low < 0) & (high > 0) & adaptive, (high > -low).astype(float), chord)
        lines.append((chord, gap, below))
        low, high = (
            sign * ends_of(sign * weights[depth], sign * biases[depth], weights, biases, lines, depth, ends)
            for sign in (1, -1)
        )
    return low


def ends_of(a, b, weights, biases, lines, depth, ends):
    for k in range(depth - 1, -1, -1):
        chord, gap, below = lines[k]
        b = b + np.minimum(a, 0) @ gap
        a = np.maximum(a, 0) * below + np.minimum(a, 0) * chord
        a, b = a @ weights[k], b + a @ biases[k]
    return ends(a, b)[0]


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("method", ["crown", "kw"])
def test_textbook_formulas(norm, method):
    model = _plane(nn.ReLU(), width=20).double()
    x, labels = torch.rand(3, 2, dtype=torch.float64), torch.tensor([0, 1, 2])
    for radius in (0.1, 0.7):
        found = relaxed_margins(frozen(model, (2,)), x, labels, radius, norm=norm, method=method, constants=False)
        for i in range(3):
            weights = [m.weight.detach().numpy() for m in model if isinstance(m, nn.Linear)]
            biases = [m.bias.detach().numpy() for m in model if isinstance(m, nn.Linear)]
            rows = np.eye(3)[labels[i]] - np.eye(3)
            weights[2], biases[2] = rows @ weights[2], rows @ biases[2]
            expected = _textbook(weights, biases, x[i].numpy(), radius, norm, method == "crown")
            for j in range(3):
                if j != labels[i]:
                    assert found[i, j].item() == pytest.approx(expected[j], abs=1e-8)
                    assert found[i, j].item() < expected[j] + 1e-12


@pytest.mark.skipif(
    importlib.util.find_spec("auto_LiRPA") is None,
    reason="auto_LiRPA is not installed; its releases pin versions of torch older than ours",
)
@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_auto_lirpa_agrees(norm):
    from auto_LiRPA import BoundedModule, BoundedTensor, PerturbationLpNorm

    model, x, labels = _plane(nn.ReLU()), torch.rand(3, 2), torch.tensor([0, 1, 2])
    rows = torch.eye(3)[labels][:, None] - torch.eye(3)
    ball = PerturbationLpNorm(norm=2 if norm == "l2" else np.inf, eps=0.3)
    theirs, _ = BoundedModule(model, x).compute_bounds(x=(BoundedTensor(x, ball),), C=rows, method="CROWN")
    ours = relaxed_margins(frozen(model, (2,)), x, labels, 0.3, norm=norm, constants=False)
    others = torch.isfinite(ours)
    assert torch.allclose(ours[others].float(), theirs[others], atol=1e-4)


def test_exact_where_the_network_is_linear():
    model = _plane(nn.ReLU()).double()
    x = torch.rand(3, 2, dtype=torch.float64)
    labels = model(x).argmax(1)
    found = relaxed_margins(frozen(model, (2,)), x, labels, 1e-6, constants=False)
    for i in range(3):
        jacobian = torch.autograd.functional.jacobian(lambda v: model(v[None])[0], x[i])
        logits = model(x[i][None])[0]
        slopes = (jacobian[labels[i]] - jacobian).norm(dim=1)
        expected = (logits[labels[i]] - logits - 1e-6 * slopes).detach()
        others = torch.isfinite(found[i])
        assert torch.allclose(found[i][others], expected[others], rtol=0, atol=1e-13)
        assert bool((found[i][others] < expected[others]).all())


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_larger_balls_have_smaller_margins_and_crown_beats_boxes(norm):
    model = _plane(nn.ReLU(), width=16)
    network, x, labels = frozen(model, (2,)), torch.rand(5, 2), torch.zeros(5, dtype=torch.int64)
    before = {}
    for radius in (0.0, 0.1, 0.2, 0.4, 0.8):
        now = {m: relaxed_margins(network, x, labels, radius, norm=norm, method=m)[:, 1:] for m in METHODS}
        for method, margins in now.items():
            assert method not in before or bool((margins <= before[method]).all())
        assert bool((now["crown"] >= now["ibp"] - 1e-9).all())
        assert bool((now["crown-ibp"] >= now["ibp"] - 1e-9).all())
        before = now


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_with_constants_at_least_what_the_constant_proves(norm):
    torch.manual_seed(0)
    model = nn.Sequential(L.BjorckLinear(8, 16), L.MaxMin(), L.BjorckLinear(16, 16), L.MaxMin(), L.BjorckLinear(16, 3))
    x = torch.rand(20, 8)
    labels = model.eval()(x).argmax(1)
    certificate = onelip.certify(model, x, labels)
    # One ball for each sample; an l-infinity ball is in the l2 ball of sqrt(8) times the radius.
    radii = torch.from_numpy(certificate.radii) / (1.0 if norm == "l2" else 8**0.5)
    margins = relaxed_margins(certificate.network, x, labels, radii * (1 - 1e-9), norm=norm, method="ibp")
    assert bool((margins > 0).all())
    without = relaxed_margins(certificate.network, x, labels, radii, norm=norm, method="ibp", constants=False)
    assert bool((without.amin(1) < margins.amin(1)).all())


def test_wrong_arguments_are_named():
    model = _plane(nn.ReLU())
    network, x, labels = frozen(model, (2,)), torch.rand(2, 2), torch.tensor([0, 1])
    for change, words in (
        ({"norm": "l3"}, "norm 'l3'"),
        ({"method": "crow"}, "'crow'"),
        ({"radius": -1.0}, "radius=-1.0"),
        ({"images": torch.rand(2, 3)}, r"images of shape \(2, 3\)"),
        ({"images": torch.ones(2, 2, dtype=torch.int64)}, "must be floating"),
        ({"labels": torch.tensor([0, 3])}, "from 0 to 2"),
        ({"labels": torch.tensor([0])}, r"labels of shape \(1,\)"),
        ({"network": frozen(nn.Linear(2, 1), (2,))}, "two classes"),
    ):
        given = {"network": network, "images": x, "labels": labels, "radius": 0.1} | change
        with pytest.raises(ValueError, match=words):
            relaxed_margins(**given)
