"""Weights of Layers Compared: each loaded layer is the formula of its paper, transcribed in float64."""

from __future__ import annotations

import math

import pytest
import torch
from tests.experiments.convert import published_formulas as theirs

from onelip import layers
from onelip.experiments.convert import load_layer_
from onelip.experiments.convert.compared_layers import soc_angle, soc_matrix
from onelip.experiments.convert.layer_rules import Source
from onelip.experiments.errors import UserError

C, N = 4, 6
DOUBLE = {"dtype": torch.float64}


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def conv(name: str, kernel: int, padding_mode: str = "circular", **options: object):
    return layers.conv2d(name, C, C, kernel, padding=kernel // 2, padding_mode=padding_mode, **options, **DOUBLE)


def same(layer: torch.nn.Module, x: torch.Tensor, expected: torch.Tensor, atol: float = 1e-9) -> None:
    for training in (True, False):
        torch.testing.assert_close(layer.train(training)(x), expected, atol=atol, rtol=0)


@pytest.mark.parametrize("kernel", [1, 3])
def test_aol(kernel):
    tensors = {"parametrizations.weight.original": random(C, C, kernel, kernel), "bias": random(C)}
    layer, x = conv("aol", kernel), random(2, C, N, N)
    assert load_layer_(layer, "AOLConv2dDirac", tensors).exact
    # They add 1e-6 to sums of about 40.
    expected = theirs.circular(x, theirs.aol(tensors["parametrizations.weight.original"]), tensors["bias"])
    same(layer, x, expected, atol=1e-5)


def test_a_1x1_kernel_loads_into_a_dense_layer():
    tensors = {"parametrizations.weight.original": random(C, C, 1, 1), "bias": random(C)}
    layer, x = layers.linear("aol", C, C, **DOUBLE), random(2, C)
    load_layer_(layer, "AOLConv2dOrth", tensors)
    same(
        layer, x, x @ theirs.aol(tensors["parametrizations.weight.original"])[:, :, 0, 0].T + tensors["bias"], atol=1e-5
    )


@pytest.mark.parametrize("kernel", [1, 2, 3])
def test_bcop(kernel):
    tensors = {"param_matrices": random(2 * kernel - 1, C, C), "mask": torch.ones(1), "bias": random(C)}
    layer = layers.conv2d(
        "bcop", C, C, kernel, padding="same", padding_mode="circular", square=True, width_first=True, **DOUBLE
    )
    load_layer_(layer, "BCOP", tensors)
    torch.testing.assert_close(layer.weight, theirs.bcop(tensors["param_matrices"]), atol=1e-6, rtol=0)
    torch.testing.assert_close(layer.eval().weight, theirs.bcop(tensors["param_matrices"]), atol=1e-9, rtol=0)
    assert torch.equal(layer.bias, tensors["bias"])


def test_bcop_in_its_own_order_of_axes_only():
    with pytest.raises(UserError, match="needs square=True and width_first=True"):
        load_layer_(conv("bcop", 3), "BCOP", {"param_matrices": random(5, C, C)})


@pytest.mark.parametrize("kernel", [1, 3])
def test_cayley(kernel):
    tensors = {"weight": random(C, C, kernel, kernel), "bias": random(C), "alpha": torch.tensor(3.0)}
    layer, x = conv("cayley", kernel), random(2, C, N, N)
    load_layer_(layer, "CayleyConv", tensors, image_size=(N, N))
    free = 3.0 * theirs.spectrum(tensors["weight"], N) / theirs.half_norm(tensors["weight"], N)
    expected = theirs.apply_spectrum(theirs.cayley_transform(free), x) + tensors["bias"][:, None, None]
    same(layer, x, expected)


def test_cayley_needs_the_size_of_its_images_or_has_no_alpha_yet():
    weight = random(C, C, 3, 3)
    with pytest.raises(UserError, match="the layer, a CayleyConv, needs image_size"):
        load_layer_(conv("cayley", 3, bias=False), "CayleyConv", {"weight": weight, "alpha": torch.ones(())})
    layer = conv("cayley", 3, bias=False)
    assert "no alpha in the checkpoint" in load_layer_(layer, "CayleyConv", {"weight": weight}).note
    assert float(layer.length.detach()) == pytest.approx(float(weight.norm()))


def test_cayley_linear():
    tensors = {"weight": random(5, C), "bias": random(5), "alpha": torch.tensor([2.5])}
    layer, x = layers.linear("cayley", C, 5, **DOUBLE), random(3, C)
    load_layer_(layer, "CayleyLinear", tensors)
    same(layer, x, x @ theirs.cayley_transform(2.5 * tensors["weight"] / tensors["weight"].norm()).T + tensors["bias"])


@pytest.mark.parametrize("kernel", [1, 3])
def test_cpl_but_for_the_length_of_its_step(kernel):
    tensors = {"kernel": random(C, C, kernel, kernel), "bias": random(C), "u": random(1, C, N, N)}
    layer, x = conv("cpl", kernel, "zeros"), random(2, C, N, N)
    loaded = load_layer_(layer, "CPLConv2d", tensors)
    bound = float(tensors["kernel"].norm() / layer.weight.detach().norm())
    norm = float(torch.linalg.matrix_norm(theirs.dense(tensors["kernel"], N), 2))
    assert norm <= bound <= 1.5 * norm
    steps = torch.full((C,), 2 / bound**2, dtype=torch.float64)
    same(layer, x, theirs.residual(x, tensors["kernel"], tensors["bias"], steps), atol=1e-6)
    assert "proved bound" in loaded.note


@pytest.mark.parametrize("kernel", [1, 3])
def test_sll(kernel):
    tensors = {"kernel": random(C, C, kernel, kernel), "bias": random(C), "q": random(C)}
    layer, x = conv("sll", kernel, "zeros"), random(2, C, N, N)
    load_layer_(layer, "SLLConv2d", tensors)
    k, q = tensors["kernel"], tensors["q"].abs() + 1e-6
    products = torch.nn.functional.conv2d(k, k, padding=kernel - 1).abs().sum((2, 3))
    same(layer, x, theirs.residual(x, k, tensors["bias"], 2 / (products @ q / q)))


@pytest.mark.parametrize("kernel", [1, 3])
def test_lot_but_for_what_they_add_to_the_gram_matrix(kernel):
    tensors = {"weight": random(C, C, kernel, kernel), "bias": random(C)}
    layer, x = conv("lot", kernel, "zeros"), random(2, C, N, N)
    assert "1e-4" in load_layer_(layer, "LOT", tensors).note
    p = kernel // 2
    padded = torch.nn.functional.pad(x, (p, p, p, p))
    y = theirs.apply_spectrum(theirs.polar(theirs.spectrum(tensors["weight"], N + 2 * p)), padded)
    same(layer, x, y[:, :, p : p + N, p : p + N] + tensors["bias"][:, None, None], atol=1e-7)


def sandwich(q: torch.Tensor, x: torch.Tensor, psi: torch.Tensor, bias: torch.Tensor, multiply) -> torch.Tensor:
    a, b = q[..., : len(psi)], q[..., len(psi) :]
    shape = (-1, *[1] * (x.dim() - 2))
    inner = math.sqrt(2) * multiply(b, x) * (-psi).exp().reshape(shape) + bias.reshape(shape)
    return math.sqrt(2) * multiply(a.mH, inner.relu() * psi.exp().reshape(shape))


@pytest.mark.parametrize("kernel", [1, 3])
def test_sandwich(kernel):
    tensors = {
        "weight": random(C, 2 * C, kernel, kernel),
        "bias": random(C),
        "psi": random(C),
        "alpha": torch.tensor(4.0),
    }
    layer, x = conv("sandwich", kernel), random(2, C, N, N)
    load_layer_(layer, "SandwichConv", tensors, image_size=(N, N))
    free = 4.0 * theirs.spectrum(tensors["weight"], N) / theirs.half_norm(tensors["weight"], N)
    expected = sandwich(theirs.cayley_transform(free), x, tensors["psi"], tensors["bias"], theirs.apply_spectrum)
    same(layer, x, expected)


def test_sandwich_linear():
    tensors = {"weight": random(C, 2 * C), "bias": random(C), "psi": random(C), "alpha": torch.tensor(4.0)}
    layer, x = layers.linear("sandwich", C, C, **DOUBLE), random(3, C)
    load_layer_(layer, "SandwichFc", tensors)
    q = theirs.cayley_transform(4.0 * tensors["weight"] / tensors["weight"].norm())
    same(layer, x, sandwich(q, x, tensors["psi"], tensors["bias"], lambda m, v: v @ m.T))


@pytest.mark.parametrize(
    ("source", "key"), [("BnBLinearBCOP", "weight"), ("BjorckLinear", "parametrizations.weight.original")]
)
def test_bjorck(source, key):
    raw = torch.eye(C, dtype=torch.float64) + 0.1 * random(C, C)
    layer, x, bias = layers.linear("bjorck", C, C, **DOUBLE), random(3, C), random(C)
    load_layer_(layer, source, {key: raw, "bias": bias})
    same(layer, x, x @ theirs.polar(raw).T + bias, atol=1e-6)


def test_what_diverges_there_is_refused():
    raw = 2 * torch.eye(C, dtype=torch.float64)
    with pytest.raises(UserError, match="raw weight of norm 2, for which its iteration diverges"):
        load_layer_(layers.linear("bjorck", C, C), "BnBLinear", {"weight": raw, "bias": random(C)})


def soc_tensors(kernel: int) -> dict[str, torch.Tensor]:
    raw = random(C, C, kernel, kernel) / 3
    tensors = {"random_conv_filter": raw, "bias": random(C), "correction": torch.tensor([0.7])}
    skew = theirs.skew(raw)
    # The fourth of their estimates is the smallest here: of the matrix (in, out k k).
    u, s, v = torch.linalg.svd(skew.transpose(0, 1).flatten(1), full_matrices=False)
    tensors |= {"u4": u[:, 0].reshape(1, C, 1, 1), "v4": v[0].reshape(C, 1, kernel, kernel)}
    large = skew * 10 / skew.square().sum()
    for i in (1, 2, 3):
        tensors |= {f"u{i}": large, f"v{i}": torch.ones(1, 1, 1, 1, dtype=torch.float64)}
    assert float(s[0]) < 10
    return tensors


@pytest.mark.parametrize("kernel", [1, 3])
def test_soc_with_an_angle_of_its_own(kernel):
    tensors = soc_tensors(kernel)
    layer, x = conv("soc", kernel, "zeros", n_terms=14, largest_angle=2.8), random(2, C, N, N)
    assert load_layer_(layer, "SOC", tensors).exact
    skew = theirs.skew(tensors["random_conv_filter"])
    matrix = theirs.dense(0.7 * skew / (skew * tensors["u4"] * tensors["v4"]).sum(), N)
    expected = (torch.matrix_exp(matrix) @ x.flatten(1).T).T.reshape(x.shape) + tensors["bias"][:, None, None]
    same(layer, x, expected, atol=1e-4)


def test_soc_of_a_fixed_angle_is_a_projection_that_has_to_be_asked_for():
    tensors = soc_tensors(3)
    angle = soc_angle(Source("SOC", tensors))
    sentence = f"turn by up to 0.7 and there by up to {angle:.3g}"
    with pytest.raises(UserError, match=sentence):
        load_layer_(conv("soc", 3), "SOC", tensors)
    loaded = load_layer_(conv("soc", 3), "SOC", tensors, project=True)
    assert not loaded.exact
    assert sentence in loaded.note


def test_the_head_of_soc_is_a_rotation_that_a_dense_layer_holds():
    tensors = soc_tensors(1)
    layer, x = layers.linear("polar-express", C, C, **DOUBLE), random(3, C)
    load_layer_(layer, "SOC head", tensors)
    skew = theirs.skew(tensors["random_conv_filter"])[:, :, 0, 0]
    matrix = torch.matrix_exp(0.7 * skew / (skew * tensors["u4"][..., 0, 0] * tensors["v4"][..., 0, 0]).sum())
    torch.testing.assert_close(soc_matrix(Source("SOC", tensors)), matrix, atol=1e-8, rtol=0)
    same(layer, x, x @ matrix.T + tensors["bias"], atol=1e-6)


def test_the_head_of_bcop():
    tensors = {"param_matrices": random(1, C, C), "bias": random(C)}
    layer, x = layers.linear("bjorck", C, C, **DOUBLE), random(3, C)
    load_layer_(layer, "BCOP head", tensors)
    same(layer, x, x @ theirs.polar(tensors["param_matrices"][0]).T + tensors["bias"], atol=1e-6)


def test_plain_layers():
    tensors = {"weight": random(C, C, 1, 1), "bias": random(C)}
    layer = torch.nn.Linear(C, C, dtype=torch.float64)
    load_layer_(layer, "StandardConv2d", tensors)
    assert torch.equal(layer.weight, tensors["weight"][:, :, 0, 0])


def test_aol_that_rescales_inputs_of_fewer_outputs_is_refused():
    tensors = {"parametrizations.weight.original": random(2, C, 3, 3), "bias": random(2)}
    layer = layers.conv2d("aol", C, 2, 3)
    with pytest.raises(UserError, match="rescales its inputs, and AOLConv2d its fewer outputs"):
        load_layer_(layer, "AOLConv2d", tensors)
