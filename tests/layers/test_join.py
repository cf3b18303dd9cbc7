"""Branches side by side: what they compute, the constant of all, and constants of pairs of logits."""

import math

import pytest
import torch
from torch import nn

from onelip import bounds
from onelip.certify import certify, verify
from onelip.certify.paranoid import confirm
from onelip.layers import BjorckLinear, GroupSort, Join, LInfLinear, MaxMin, NonexpansiveLinear, TwoSidedReLU, to_plain


def separate(n_classes, layer=NonexpansiveLinear, activation=TwoSidedReLU, wide=2):
    trunk = nn.Sequential(nn.Flatten(), layer(6, 8), activation())
    rows = [nn.Sequential(layer(8 * wide, 4), activation(), layer(4 * wide, 1)) for _ in range(n_classes)]
    return nn.Sequential(trunk, Join(*rows))


def test_values_and_bound():
    branches = [BjorckLinear(4, 2), nn.Sequential(BjorckLinear(4, 3), MaxMin()), nn.Identity()]
    join, x = Join(*branches), torch.randn(5, 4)
    assert torch.equal(join(x), torch.cat([branch(x) for branch in branches], 1))
    assert join.lipschitz_bound((4,)).value == pytest.approx(math.sqrt(3), rel=1e-5)
    assert bounds.lipschitz_bound(join.eval(), (4,)).value == pytest.approx(math.sqrt(3), rel=1e-5)
    torch.testing.assert_close(to_plain(join)(x), join.eval()(x))
    with pytest.raises(ValueError, match=r"branches=\(\) in Join"):
        Join()


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_pairs_of_separate_logits_have_the_sum_of_their_constants(norm, tmp_path):
    layer = NonexpansiveLinear if norm == "l2" else LInfLinear
    model = separate(5, layer).eval()
    images = torch.rand(20, 6)
    logits = model(images)
    certificate = certify(model, images, logits.argmax(1), norm=norm)
    pairs = torch.from_numpy(certificate.pair_constants)
    alone = [
        float(bounds.lipschitz_bound(nn.Sequential(model[0], b), (6,), norm=norm).value) for b in model[1].branches
    ]
    expected = torch.tensor(alone, dtype=torch.float64)
    expected = (expected[:, None] + expected).fill_diagonal_(0)
    assert certificate.head == "joined"
    # Runs of dense layers as a whole may be shorter, never longer.
    assert bool((pairs <= expected * (1 + 1e-9)).all())
    assert float(pairs.max()) <= 2 * (1 + 1e-6)
    gaps = (logits.amax(1) - logits.topk(2).values[:, 1]).detach()
    assert bool((torch.from_numpy(certificate.radii) >= gaps / 2 * (1 - 1e-4) - 1e-5).all())
    certificate.save(tmp_path)
    assert verify(tmp_path).ok
    confirmed = confirm(tmp_path, samples=2)
    assert confirmed.ok, str(confirmed)


def test_constants_of_pairs_are_not_too_small():
    # Differences of logits measured along the lines between random inputs.
    model = separate(4).double().eval()
    x = torch.rand(1, 6, dtype=torch.float64).requires_grad_()
    pairs = torch.from_numpy(certify(model, torch.rand(2, 6), torch.zeros(2, dtype=torch.int64)).pair_constants)
    for _ in range(20):
        rows = torch.autograd.functional.jacobian(model, torch.randn_like(x))[0, :, 0]
        assert bool((torch.cdist(rows, rows) <= pairs + 1e-9).all())


def test_runs_that_shorten_one_branch_do_not_shorten_the_others(tmp_path):
    # A branch whose two dense layers cancel, beside one whose layers do not.
    torch.manual_seed(0)
    half = torch.diag(torch.tensor([1.0, 1.0, 0.0, 0.0]))
    first, second = nn.Linear(4, 4, bias=False), nn.Linear(4, 1, bias=False)
    third, fourth = nn.Linear(4, 4, bias=False), nn.Linear(4, 1, bias=False)
    with torch.no_grad():
        first.weight.copy_(half)
        second.weight.copy_(torch.tensor([[0.05, 0.0, 1.0, 1.0]]))
        third.weight.copy_(torch.eye(4))
        fourth.weight.copy_(torch.tensor([[1.0, 0.0, 0.0, 0.0]]))
    model = nn.Sequential(
        nn.Flatten(), Join(nn.Sequential(first, nn.ReLU(), second), nn.Sequential(third, nn.ReLU(), fourth))
    )
    images = torch.rand(8, 4)
    certificate = certify(model, images, model(images).argmax(1))
    assert certificate.bound.tightened is not None
    # The true constant: 0.05 e_1 - e_1 is shorter, but each branch counts by itself, and the second is not shortened.
    assert 1.0 <= float(certificate.pair_constants.max()) <= 1.0 + math.sqrt(2.0025)
    certificate.save(tmp_path)
    assert verify(tmp_path).ok
    assert confirm(tmp_path, samples=2).ok


def test_vectors_of_several_logits_and_stacks(tmp_path):
    class Stacked(nn.Module):
        def __init__(self):
            super().__init__()
            self.rows = nn.ModuleList([nn.Linear(6, 1), nn.Linear(6, 1)])

        def forward(self, x):
            x = x.flatten(1)
            return torch.stack([row(x)[:, 0] for row in self.rows], 1)

    two = nn.Sequential(nn.Flatten(), Join(nn.Sequential(nn.Linear(6, 4), GroupSort(2)), nn.Linear(6, 1)))
    for number, model in enumerate((two, Stacked())):
        images = torch.rand(3, 6)
        for norm in ("l2", "linf"):
            certificate = certify(model, images, torch.zeros(3, dtype=torch.int64), norm=norm)
            assert certificate.head == "joined"
            folder = tmp_path / f"{number}{norm}"
            certificate.save(folder)
            assert verify(folder).ok
            assert confirm(folder, samples=1).ok


def test_constants_for_training_are_the_sums_of_the_branches():
    dense = nn.Linear(6, 4), nn.Linear(4, 1), nn.Linear(4, 2)
    model = nn.Sequential(nn.Flatten(), dense[0], Join(dense[1], nn.Sequential(dense[2], MaxMin()))).double().eval()
    found = bounds.training_constants(model, 3)
    first, one, two = (torch.linalg.matrix_norm(layer.weight.detach(), 2) for layer in dense)
    expected = first * torch.stack([0 * one, one + two, 2**0.5 * two])
    torch.testing.assert_close(torch.stack([found[0, 0], found[0, 1], found[1, 2]]), expected, rtol=0.05, atol=0)
    assert bool((torch.stack([found[0, 1], found[1, 2]]) >= expected[1:] * (1 - 1e-9)).all())
    model.train()
    bounds.training_constants(model).sum().backward()
    assert all(p.grad is not None for name, p in model.named_parameters() if name.endswith("weight"))
    with pytest.raises(ValueError, match="n_classes=4 in training_constants, but the model has 3 logits"):
        bounds.training_constants(model, 4)
