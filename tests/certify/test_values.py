import torch

from onelip.certify.records import Node
from onelip.certify.values import exact, root, rounded, sample_norms, stored
from onelip.linalg import UNIT_ROUNDOFF


def test_norms_are_upper_bounds():
    x = torch.randn(5, 3, 4, dtype=torch.float64)
    assert bool((sample_norms(x) >= x.flatten(1).norm(dim=1)).all())


def test_errors():
    x = torch.tensor([[3.0, 4.0]], dtype=torch.float64)
    assert float(exact(x)[1]) == 0
    error = float(rounded(x, 2)[1])
    assert 5 * 2 * UNIT_ROUNDOFF <= error <= 5 * 4 * UNIT_ROUNDOFF


def test_roots_are_torchs_and_have_a_gradient_at_zero():
    x = torch.tensor([0.0, 4.0, 5e-324, torch.inf, torch.nan], dtype=torch.float64)
    assert torch.equal(root(x)[:4], x.sqrt()[:4])
    assert root(x)[4].isnan()
    x = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.grad(root(x.square()).sum(), x)[0].tolist() == [0, 0]


def test_stored_numbers_come_in_the_type_wanted():
    node = Node("n", "linear", ("input",), {}, {"weight": torch.ones(2)})
    assert stored(node, "weight", torch.zeros(1)).dtype == torch.float32
    assert stored(node, "weight", torch.zeros(1, dtype=torch.float64)).dtype == torch.float64
