from __future__ import annotations

import torch
from torch import Tensor, nn

from onelip import layers as L
from onelip.certify.certification import certify
from onelip.certify.export import Frozen, freeze
from onelip.certify.head import find_head
from onelip.certify.radius import pair_slopes
from onelip.certify.records import INPUT
from onelip.certify.tightened import tightened


def frozen(model: nn.Module, n: int) -> Frozen:
    return freeze(model.eval(), (n,), tighten=True, search_steps=10)


def mlp(activation: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(6, 16), activation, nn.Dropout(), nn.Linear(16, 16), activation, nn.Linear(16, 5), L.ChannelKeep(4)
    ).eval()


def jacobians(model: nn.Module, n: int) -> Tensor:
    g = torch.Generator().manual_seed(1)
    x = torch.randn(300, n, generator=g, dtype=torch.float64)
    model = model.double()
    return torch.func.vmap(torch.func.jacrev(lambda v: model(v[None])[0]))(x).detach()


def test_slopes_of_pairs_are_between_those_found_and_those_of_the_product() -> None:
    for activation in (nn.ReLU(), L.MaxMin(), L.GroupSort(4), L.BetaAbs(0.5)):
        found = frozen(mlp(activation), 6)
        shorter, head = tightened(found.network, found.in_norm.segments), find_head(found)
        product = pair_slopes(head.constant, 4, head.rows)
        slopes = shorter.slopes(found.network, head, product)
        jacobian = jacobians(mlp(activation), 6)
        pairs = torch.linalg.vector_norm(jacobian[:, :, None] - jacobian[:, None], dim=-1).amax(0)
        assert bool((pairs <= slopes).all())
        assert bool((slopes <= product).all())
        assert bool((slopes < 0.95 * product)[~torch.eye(4, dtype=torch.bool)].all())
        assert float(torch.linalg.matrix_norm(jacobian, 2).max()) <= shorter.output.value


def test_equal_rows_of_the_head_have_slope_zero() -> None:
    model = mlp(nn.ReLU())
    with torch.no_grad():
        model[5].weight[1] = model[5].weight[0]
    found = frozen(model, 6)
    head = find_head(found)
    slopes = tightened(found.network, found.in_norm.segments).slopes(
        found.network, head, pair_slopes(head.constant, 4, head.rows)
    )
    assert slopes[0, 1] == 0


class Block(nn.Module):
    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x + self.branch(x), x - self.branch(x)], 1)


def test_runs_inside_sums_and_concatenations_are_composed() -> None:
    torch.manual_seed(0)
    branch = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 4))
    found = frozen(nn.Sequential(Block(branch), L.Abs(), nn.Linear(8, 3)), 4)
    shorter = tightened(found.network, found.in_norm.segments)
    assert len(shorter.segments) == 2
    values = [segment.bound.value for segment in shorter.segments]
    assert shorter.constants[INPUT].value == 1.0
    whole = 2**0.5 * (1 + values[0]) * found.network.nodes[-1].constant
    assert abs(shorter.output.value - whole) <= 1e-12 * whole
    bound = found.in_norm.total
    assert bound.tightened is not None
    assert shorter.below(bound.bound) == bound.tightened


def test_a_network_without_runs_keeps_its_product() -> None:
    found = frozen(nn.Sequential(nn.Linear(4, 3)), 4)
    shorter, head = tightened(found.network, found.in_norm.segments), find_head(found)
    product = pair_slopes(head.constant, 3, head.rows)
    assert shorter.slopes(found.network, head, product) is product
    assert shorter.below(found.in_norm.total.bound) is None
    assert shorter.to_json() == []


def test_certified_radii_grow() -> None:
    model, x = mlp(nn.ReLU()), torch.randn(50, 6)
    labels = model(x).argmax(1)
    certificate = certify(model, x, labels)
    assert certificate.bound.tightened is not None
    found = frozen(mlp(nn.ReLU()), 6)
    head = find_head(found)
    product = pair_slopes(head.constant, 4, head.rows).numpy()
    off = product > 0
    assert (certificate.pair_constants[off] < 0.8 * product[off]).all()
    assert "bounded as a whole" in str(certificate)
