import copy
import importlib
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from tests.certify.networks import around, predictions, rich, samples, small
from torch import nn

from onelip import layers as L
from onelip.attacks import break_certificates, l2_pgd
from onelip.bounds import lipschitz_bound
from onelip.certify import CertificationError, certify, verify
from onelip.certify.certification import to_pixels
from onelip.linalg import Bound


@pytest.fixture(scope="module")
def certified():
    model, x = small(), samples()
    return model, x, certify(model, x, predictions(model, x))


def test_radii_by_hand():
    model = nn.Linear(3, 3)
    with torch.no_grad():
        model.weight.copy_(torch.eye(3))
        model.bias.zero_()
    certificate = certify(model, torch.tensor([[2.0, 1.0, 0.0], [0.0, 5.0, 0.0]]), torch.tensor([0, 2]))
    # (2 - 1) / ||e_0 - e_1|| = 1 / sqrt 2; the second sample is misclassified.
    assert certificate.radii[0] == pytest.approx(1 / math.sqrt(2), rel=1e-5)
    assert certificate.radii[0] < 1 / math.sqrt(2)
    assert certificate.radii[1] == 0
    assert certificate.predictions.tolist() == [0, 1]
    assert certificate.accuracy == 0.5
    assert certificate.certified_accuracy(0) == 0.5
    assert certificate.certified_accuracy(0.71) == 0


@pytest.mark.parametrize("build", [small, rich, around])
def test_attacks_stay_outside_of_the_radii(build):
    model, x = build(), samples(n=8)
    certificate = certify(model, x, predictions(model, x))
    assert (certificate.radii > 0).all()
    radii = torch.from_numpy(certificate.radii).float() * (1 - 1e-3)
    found = l2_pgd(model, x, torch.from_numpy(certificate.labels), radii, steps=20, restarts=2)
    assert torch.equal(predictions(model, found), torch.from_numpy(certificate.labels))


def test_a_radius_is_tight_for_a_linear_model():
    torch.manual_seed(1)
    model, x = nn.Linear(6, 3).double(), torch.rand(9, 6)
    labels = predictions(model, x.double())
    certificate = certify(model, x, labels)
    w, z = model.weight.detach(), model(x.double()).detach()
    for i, t in enumerate(labels.tolist()):
        exact = min(float((z[i, t] - z[i, j]) / (w[t] - w[j]).norm()) for j in range(3) if j != t)
        assert exact * (1 - 3e-6) <= certificate.radii[i] <= exact


def test_the_model_is_left_alone(certified):
    model = small().train()
    before = copy.deepcopy(model.state_dict())
    certify(model, samples(n=2), torch.tensor([0, 1]))
    assert all(m.training for m in model.modules())
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_batches_and_progress_do_not_matter(certified):
    model, x, whole = certified
    calls = []
    parts = certify(model, x, whole.labels, batch_size=5, progress=lambda done, total: calls.append((done, total)))
    assert np.allclose(parts.radii, whole.radii, rtol=1e-9)
    assert calls == [(5, 12), (10, 12), (12, 12)]


def test_bytes_and_pixels_agree():
    model = small()
    stored = torch.randint(0, 256, (4, 2, 6, 6), dtype=torch.uint8)
    pixels = stored.float() / 255
    labels = predictions(model, pixels)
    a, b = certify(model, stored, labels, scale=255), certify(model, pixels, labels)
    assert (a.images.dtype, b.images.dtype) == (np.uint8, np.float32)
    assert np.array_equal(a.radii, b.radii)
    assert np.array_equal(to_pixels(a.images, 255), pixels.numpy())


def test_a_global_head_divides_by_root_two():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), L.Abs())
    x = torch.rand(5, 4)
    labels = predictions(model, x)
    certificate = certify(model, x, labels)
    assert certificate.head == "global"
    z = model(x).detach().double()
    top = z.topk(2).values
    exact = (top[:, 0] - top[:, 1]) / (math.sqrt(2) * lipschitz_bound(model, (4,)).value)
    assert np.allclose(certificate.radii, exact.numpy(), rtol=1e-4)


@pytest.mark.parametrize("scale", [1e-35, 1e-12, 1e12])
def test_radii_do_not_depend_on_the_scale_of_the_weights(scale):
    # Tiny weights must not underflow to a constant of zero, and so to certified nonsense.
    torch.manual_seed(0)
    model, x = nn.Linear(6, 3).double(), torch.rand(4, 6)
    labels = predictions(model, x.double())
    radii = certify(model, x, labels).radii
    with torch.no_grad():
        model.weight *= scale
        model.bias *= scale
    assert np.allclose(certify(model, x, labels).radii, radii, rtol=1e-6)


def test_huge_biases_leave_no_room_for_rounding():
    model, x = nn.Linear(2, 2), torch.full((1, 2), 0.5)
    with torch.no_grad():
        model.weight.copy_(torch.eye(2))
        model.bias.copy_(torch.tensor([2.0**60, 2.0**60]))
        model.weight[0, 0] = 1.5
    # In float64 both logits round to 2^60, far coarser than their difference of 1/4.
    assert certify(model, x, torch.tensor([0])).radii[0] == 0


def test_equal_rows_never_overtake_and_ties_are_not_certified():
    model = nn.Linear(2, 3)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]]))
        model.bias.copy_(torch.tensor([1.0, 0.0, 0.0]))
    x = torch.tensor([[1.0, 0.0]])
    certificate = certify(model, x, torch.tensor([0]))
    assert certificate.radii[0] == pytest.approx(3 / 2, rel=1e-5)
    with torch.no_grad():
        model.bias.zero_()
    assert certify(model, x, torch.tensor([0])).radii[0] == 0


def test_a_constant_network_is_capped(tmp_path):
    model = nn.Linear(2, 2)
    with torch.no_grad():
        model.weight.zero_()
        model.bias.copy_(torch.tensor([1.0, 0.0]))
    certificate = certify(model, torch.rand(2, 2), torch.tensor([0, 1]))
    assert certificate.radii.tolist() == [1e12, 0]
    assert verify(certificate.save(tmp_path)).ok


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_overflow_is_never_certified(value):
    model = nn.Linear(2, 2).double()
    with torch.no_grad():
        model.bias[1] = value
    with pytest.raises(CertificationError, match=r"_0\.bias of the model has a NaN or infinite entry"):
        certify(model, torch.rand(3, 2), torch.tensor([0, 1, 0]))


def test_answers_that_are_not_known_are_no_answers(tmp_path):
    # Logits are numbers, but the bound of their error overflows.
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)).double()
    with torch.no_grad():
        model[0].weight *= 1e200
        model[1].weight *= 1e-200
    certificate = certify(model, torch.ones(3, 2), torch.tensor([0, 1, 0]))
    assert certificate.radii.tolist() == [0, 0, 0]
    assert certificate.predictions.tolist() == [-1, -1, -1]
    assert certificate.accuracy == 0
    assert verify(certificate.save(tmp_path)).ok


def test_a_huge_scale_is_refused_without_a_warning():
    with pytest.raises(ValueError, match=r"scale=1e\+39 in certify must be positive and finite"):
        certify(small(), samples(n=1), torch.tensor([0]), scale=1e39)


@pytest.mark.parametrize("scale", [1e-308, 1e-320])
def test_subnormal_heads_are_no_accident(scale, tmp_path):
    # The distances of rows are a few units of 2^-1074, whose inverse is no number.
    torch.manual_seed(0)
    model = nn.Sequential(*[nn.Linear(4, 4, bias=False) for _ in range(2)], nn.Linear(4, 3, bias=False)).double()
    with torch.no_grad():
        model[0].weight *= 1e100
        model[1].weight *= 1e110
        model[2].weight.copy_(torch.randint(-9, 9, (3, 4)).double() * scale)
    x = torch.rand(5, 4)
    labels = predictions(model, x.double())
    certificate = certify(model, x, labels)
    assert verify(certificate.save(tmp_path)).ok
    assert certificate.proved
    assert break_certificates(certificate, restarts=1, steps=10, neighbours=3).ok


class Guess(L.Scale):
    def lipschitz_bound(self, input_shape=None):
        return Bound(0.5, False, "power iteration")


def test_estimates_are_refused_unless_allowed(tmp_path):
    model = nn.Sequential(nn.Linear(2, 2), Guess(1.0))
    x = torch.rand(2, 2)
    with pytest.raises(CertificationError, match=r"contains estimates: 1; .* allow_estimates"):
        certify(model, x, torch.tensor([0, 1]))
    certificate = certify(model, x, torch.tensor([0, 1]), allow_estimates=True)
    assert str(certificate).startswith("ESTIMATE, NOT PROVED")
    path = certificate.save(tmp_path)
    assert "ESTIMATE, NOT PROVED" in path.read_text().splitlines()[0]
    # The estimate is too low, which the checker sees.
    assert "could not be proved" in str(verify(path))


def test_a_frozen_network_must_be_the_model(monkeypatch):
    rules = importlib.import_module("onelip.certify.forward")._RULES
    right = rules["linear"]
    monkeypatch.setitem(rules, "linear", lambda node, inputs: right(node, [1.1 * x for x in inputs]))
    with pytest.raises(CertificationError, match="different logits"):
        certify(nn.Linear(3, 3), torch.rand(2, 3), torch.tensor([0, 1]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": torch.tensor([0, 4])}, r"labels\[1\]=4 in certify must be a class from 0 to 3"),
        ({"labels": torch.tensor([-1, 0])}, r"labels\[0\]=-1"),
        ({"labels": torch.tensor([0.0, 1.0])}, "must be \\(N,\\) integers"),
        ({"labels": torch.tensor([0])}, "as many as the 2 images"),
        ({"images": torch.full((2, 2, 6, 6), float("nan"))}, r"images\[0\] in certify has a NaN"),
        ({"images": torch.zeros(2, 2, 6, 6, dtype=torch.int32)}, "uint8 or floating point"),
        ({"images": torch.zeros(0, 2, 6, 6), "labels": torch.zeros(0, dtype=torch.int64)}, "N >= 1"),
        ({"scale": 0.0}, "scale=0.0"),
        ({"scale": float("nan")}, "scale=nan"),
        ({"batch_size": 0}, "batch_size=0"),
    ],
)
def test_bad_arguments(change, words):
    arguments = {"images": samples(n=2), "labels": torch.tensor([0, 1])} | change
    with pytest.raises(ValueError, match=words):
        certify(small(), **arguments)


def test_the_index_of_a_broken_image_is_named():
    x = samples(n=3)
    x[2, 0, 1, 1] = float("inf")
    with pytest.raises(ValueError, match=r"images\[2\]"):
        certify(small(), x, torch.tensor([0, 1, 2]))


def test_one_logit_is_no_classifier():
    with pytest.raises(ValueError, match="at least two classes"):
        certify(nn.Linear(2, 1), torch.rand(1, 2), torch.tensor([0]))


def linf_network():
    torch.manual_seed(0)
    return nn.Sequential(
        L.Normalize([0.5, 0.4], [0.5, 0.25]),
        L.LInfConv2d(2, 6, 3, padding=1),
        L.MaxMin(),
        nn.Conv2d(6, 4, 3, padding=1, padding_mode="reflect"),
        nn.BatchNorm2d(4),
        L.GroupSort(2),
        nn.AvgPool2d(2),
        L.ConcatResidual(nn.Sequential(nn.ReLU(), nn.Conv2d(2, 2, 1))),
        nn.Flatten(),
        L.LInfLinear(36, 4),
    ).eval()


def sign_descent(model, x, labels, radii, steps=40):
    """Move every pixel by at most the radius against the margin, in signed steps."""
    best = x.clone()
    for start in (torch.zeros_like(x), 2 * torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) - 1):
        moved = x + start * radii
        for _ in range(steps):
            moved.requires_grad_()
            z = model(moved)
            own = z.gather(1, labels[:, None])[:, 0]
            other = z.scatter(1, labels[:, None], -torch.inf).amax(1)
            (gradient,) = torch.autograd.grad((own - other).sum(), moved)
            moved = (moved.detach() - radii * 0.1 * gradient.sign()).clamp(x - radii, x + radii)
        best = torch.where((predictions(model, moved) != labels)[:, None, None, None], moved, best)
    return best


def test_radii_in_linf_by_hand():
    model = nn.Linear(3, 3)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 2.0], [0.0, 0.0, 1.0]]))
        model.bias.zero_()
    certificate = certify(model, torch.tensor([[2.0, 1.0, 0.0]]), torch.tensor([0]), norm="linf")
    # ||(1, 0, -2)||_1 = 3 for a margin of 2, ||(1, 1, -1)||_1 = 3 for a margin of 3.
    assert certificate.class_radii[0, 1:] == pytest.approx([2 / 3, 1], rel=1e-5)
    assert certificate.pair_constants[0] == pytest.approx([0, 3, 3])
    assert (certificate.norm, certificate.bound.norm) == ("linf", "linf")
    assert certificate.claim.startswith("PROVED: linf Lipschitz constant 3;")


def test_sign_descent_stays_outside_of_linf_radii(tmp_path):
    model, x = linf_network(), samples(n=8)
    labels = predictions(model, x)
    for semantics in ("real", "executed-float64"):
        certificate = certify(model, x, labels, norm="linf", semantics=semantics)
        assert (certificate.radii > 0).all()
        radii = torch.from_numpy(certificate.radii).float()[:, None, None, None]
        assert torch.equal(predictions(model, sign_descent(model, x, labels, radii * (1 - 1e-3))), labels)
        assert verify(certificate.save(tmp_path)).norm == "linf"
    # The search is good enough to find what is a few hundred times as far.
    assert (predictions(model, sign_descent(model, x, labels, radii * 300)) != labels).any()


def test_a_global_head_in_linf_divides_by_two():
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(4, 4), L.Abs()), torch.rand(5, 4)
    certificate = certify(model, x, predictions(model, x), norm="linf")
    z = model(x).detach().double()
    exact = (z.amax(1, keepdim=True) - z) / (2 * lipschitz_bound(model, (4,), norm="linf").value)
    others = ~np.eye(4, dtype=bool)[certificate.labels]
    assert np.allclose(certificate.class_radii[others], exact.numpy()[others], rtol=1e-4)


def test_class_radii_are_tight_for_a_linear_model():
    torch.manual_seed(1)
    model, x = nn.Linear(6, 3).double(), torch.rand(9, 6)
    certificate = certify(model, x, predictions(model, x.double()))
    w, z = model.weight.detach(), model(x.double()).detach()
    for i, t in enumerate(certificate.labels.tolist()):
        for j in {0, 1, 2} - {t}:
            exact = float((z[i, t] - z[i, j]) / (w[t] - w[j]).norm())
            assert exact * (1 - 3e-6) <= certificate.class_radii[i, j] <= exact
        assert certificate.class_radii[i, t] == 1e12
    assert np.array_equal(certificate.radii, certificate.class_radii.min(1))
    assert "is nearest to overtaking label" in certificate.summary()


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_the_standard_deviation_of_each_channel_is_in_the_proved_constant(norm):
    # Only the channel with the small deviation is looked at, and so its deviation is what the radius is about.
    head = nn.Linear(8, 2, bias=False)
    with torch.no_grad():
        head.weight.zero_()
        head.weight[0, 4:] = 1.0
    model = nn.Sequential(L.Normalize([0.0, 0.0], [4.0, 0.125]), nn.Flatten(), head)
    x = torch.full((1, 2, 2, 2), 0.5)
    certificate = certify(model, x, torch.tensor([0]), norm=norm)
    # The logit is 8 times the sum of four pixels: to lose its lead of 16, all four fall by 1/2.
    exact = 1.0 if norm == "l2" else 0.5
    assert certificate.radii[0] == pytest.approx(exact, rel=1e-5)
    assert certificate.radii[0] <= exact
    swapped = nn.Sequential(L.Normalize([0.0, 0.0], [0.125, 4.0]), nn.Flatten(), head)
    # There the global constant of the first layer is the larger one, which a certificate has to take.
    assert certify(swapped, x, torch.tensor([0]), norm=norm).radii[0] == pytest.approx(exact / 32, rel=1e-5)


def test_radii_are_in_units_of_pixels_whatever_the_scale():
    torch.manual_seed(0)
    model, stored = small(), torch.randint(0, 256, (4, 2, 6, 6), dtype=torch.uint8)
    inner = nn.Sequential(L.Scale(1 / 255), *model)
    labels = predictions(model, stored.float() / 255)
    divided = certify(model, stored, labels, scale=255)
    # A network that divides by itself has its radii in bytes: 255 times as large, and the claim tells the range.
    whole = certify(inner, stored, labels, scale=1)
    assert np.allclose(whole.radii, 255 * divided.radii, rtol=1e-4)
    assert "pixels from 0 to 1," in divided.claim
    assert "pixels from 0 to 255," in whole.claim


def test_unknown_norms_and_semantics():
    x, y = samples(n=2), torch.tensor([0, 1])
    with pytest.raises(ValueError, match=r"norm='l1' in certify must be 'l2' or 'linf'"):
        certify(small(), x, y, norm="l1")
    with pytest.raises(ValueError, match=r"semantics='float32' in certify must be 'real' or 'executed-float64'"):
        certify(small(), x, y, semantics="float32")
    with pytest.raises(ValueError, match=r"GradientResidual2d .* in l_inf"):
        certify(rich(), x, y, norm="linf")


def cancelling(seed: int) -> tuple[nn.Module, torch.Tensor, bool]:
    """Logits (t, -t) with t what is left of a sum that cancels, and whether t > 0 in rational arithmetic."""
    g = torch.Generator().manual_seed(seed)
    w = torch.randn(6, generator=g, dtype=torch.float64)
    x = (torch.rand(1, 6, generator=g) + 1) * 1e38
    pixels = [Fraction(v) for v in x[0].tolist()]
    rest = sum(Fraction(a) * b for a, b in zip(w[:-1].tolist(), pixels[:-1], strict=True))
    w[-1] = float(-rest / pixels[-1])
    model = nn.Sequential(nn.Linear(6, 2, bias=False), *[nn.Linear(2, 2, bias=False) for _ in range(2)]).double()
    with torch.no_grad():
        # The products of the sizes of the first weights underflow, those of weights and pixels do not.
        model[0].weight.copy_(torch.stack([w, -w]) * 2.0**-565)
        model[1].weight.copy_(torch.eye(2).double() * 2.0**333)
        model[2].weight.copy_(torch.eye(2).double() * 2.0**160)
    return model, x, rest + Fraction(float(w[-1])) * pixels[-1] > 0


def test_tiny_weights_do_not_hide_the_rounding_of_large_pixels():
    wrong = 0
    for seed in range(60):
        model, x, positive = cancelling(seed)
        label = int(predictions(model, x.double())[0])
        if (label == 0) != positive:
            wrong += 1
            assert certify(model, x, torch.tensor([label])).radii[0] == 0
    assert wrong > 3, "float64 is right everywhere, so this test shows nothing"
