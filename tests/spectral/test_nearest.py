import pytest
import torch

from onelip.spectral.nearest import nearest


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_without_a_map_it_clips_singular_values_in_one_step(dtype):
    matrices = torch.randn(3, 4, 5, dtype=dtype)
    u, s, vh = torch.linalg.svd(matrices, full_matrices=False)
    bound = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    wanted = (u * torch.minimum(s, bound[:, None])[:, None, :]) @ vh
    found = nearest(matrices, lambda w: w, lambda f: f.full, bound, step=1.0)
    assert found.n_iter == 1
    torch.testing.assert_close(found.point, wanted)
    assert found.distance == pytest.approx(found.least_distance)
    assert found.distance == pytest.approx(float((wanted - matrices).norm()))


def test_no_feasible_point_is_nearer_than_the_proof_says():
    generator = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(36, 8, generator=generator, dtype=torch.float64))[0]
    start = 3 * torch.randn(8, generator=generator, dtype=torch.float64)

    def image(w):
        return (basis @ w).reshape(6, 6)

    found = nearest(start, image, lambda f: basis.mT @ f.full.reshape(-1), start.new_tensor(1.0), step=1.0)
    assert torch.linalg.matrix_norm(image(found.point), 2) <= 1 + 1e-12
    assert found.distance <= 1.0101 * found.least_distance
    # Points of the segment towards 0, and random ones, that obey are further away.
    others = torch.randn(2000, 8, generator=generator, dtype=torch.float64) * 0.3 + found.point
    norms = torch.linalg.matrix_norm((others @ basis.mT).reshape(-1, 6, 6), 2)
    feasible = others / norms.clamp(min=1)[:, None]
    assert (feasible - start).norm(dim=1).min() >= found.least_distance
