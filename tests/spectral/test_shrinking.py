import pytest
import torch

from onelip.spectral.shrinking import Shrinking, spectral_norms


def lowered(matrices, threshold):
    u, s, vh = torch.linalg.svd(matrices, full_matrices=False)
    s = (s - threshold[:, None]).clamp(min=0)
    return (u * s[:, None, :]) @ vh, s.sum(1)


@pytest.mark.parametrize("shape", [(3, 7, 5), (3, 5, 7), (2, 40, 40)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_values_are_lowered_also_where_few_are_followed(shape, dtype):
    shrink = Shrinking()
    u, s, vh = torch.linalg.svd(torch.randn(shape, dtype=dtype), full_matrices=False)
    s[:, 3:] *= 0.1
    matrices = (u * s[:, None, :]) @ vh
    threshold = s[:, 2] * 0.9
    for step in range(6):
        factors, values = shrink(matrices * (1 + 0.01 * step), threshold)
        wanted, total = lowered(matrices * (1 + 0.01 * step), threshold)
        torch.testing.assert_close(factors.full, wanted, rtol=1e-6, atol=1e-8)
        torch.testing.assert_close(values.sum(1), total)
        torch.testing.assert_close(values.sum(1), torch.linalg.svdvals(factors.full).sum(1))
    torch.testing.assert_close(shrink.norms_from_below(matrices), s[:, 0])
    torch.testing.assert_close(spectral_norms(matrices), s[:, 0])
    # What is followed tells nothing of other directions, so it is from below.
    assert (shrink.norms_from_below(torch.randn_like(matrices)) > 0).all()


def test_all_values_are_found_again():
    torch.manual_seed(0)
    shrink, threshold = Shrinking(), torch.ones(1, dtype=torch.float64)
    first = torch.zeros(1, 40, 40, dtype=torch.float64)
    first[0, 0, 0] = 3.0
    other = first.clone()
    other[0, 7, 9] = 2.0
    shrink(first, threshold)
    found = [float(shrink(other, threshold)[1].sum()) for _ in range(9)]
    assert found == pytest.approx([2.0] * 7 + [3.0] * 2)
