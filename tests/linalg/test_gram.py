import pytest
import torch

from onelip.linalg.gram import adjoint_product, gram


@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (3, 7), (4, 5, 2), (2, 3, 40, 30), (0, 3, 2)])
def test_is_the_product_with_the_transpose(shape):
    x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = (x[..., :, :, None] * x[..., :, None, :]).sum(-3)
    assert torch.allclose(gram(x), expected, rtol=1e-13, atol=1e-13)


def test_takes_transposed_and_differentiable_tensors():
    x = torch.randn(3, 6, 5, dtype=torch.float64, requires_grad=True)
    found = gram(x.mT)
    assert torch.allclose(found, (x @ x.mT).detach(), rtol=1e-13, atol=1e-13)
    assert not found.requires_grad


def test_adjoint_products_of_parts_of_a_tensor():
    x = torch.randn(3, 8, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    first, second = x[:, :4], x[:, 4:]
    expected = (first[..., :, None] * second[..., None, :]).sum(-3)
    assert torch.allclose(adjoint_product(first, second), expected, rtol=1e-13, atol=1e-13)
