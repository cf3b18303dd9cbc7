import torch
import torch.nn.functional as F

from onelip.certify.records import Node
from onelip.certify.window_forward import matrices, max_windows, window_norm

X = torch.randn(2, 3, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def norm_node(row_scales=(1.0, 1.0, 1.0)):
    attributes = {
        "rows": [[0, 2], [2, 4], [4, 6]], "columns": [[0, 3], [3, 6]], "row_scales": list(row_scales),
        "column_scales": [1.0, 1.0],
    }  # fmt: skip
    return Node("n", "window_norm", ("input",), attributes)


def test_norms_against_torch():
    torch.testing.assert_close(window_norm(norm_node(), [X])[0], F.lp_pool2d(X, 2, (2, 3)))
    scaled = window_norm(norm_node([1.0, 2.0, 0.0]), [X])[0]
    plain = window_norm(norm_node(), [X])[0]
    assert torch.equal(scaled, plain * torch.tensor([1.0, 2.0, 0.0], dtype=torch.float64)[:, None])


def test_maxima_of_windows_of_different_sizes():
    node = Node("n", "max_windows", ("input",), {"axes": [2, 1], "windows": [[[0, 2], [5]], [[1, 2, 4]]]})
    y, error = max_windows(node, [X])
    rows = X[:, :, [1, 2, 4]].amax(2, keepdim=True)
    assert torch.equal(y, torch.stack([rows[..., [0, 2]].amax(-1), rows[..., 5]], -1))
    assert not error.any()


def test_matrices_along_axes():
    first, second = torch.randn(2, 4, 3, dtype=torch.float64), torch.randn(5, 6, dtype=torch.float64)
    node = Node("n", "matrices", ("input",), {"axes": [0, 2]}, {"matrix0": first[0], "matrix1": second})
    y, error = matrices(node, [X])
    expected = torch.einsum("ac,nchw,bw->nahb", first[0], X, second)
    assert y.shape == (2, 4, 6, 5)
    assert bool(((y - expected).flatten(1).norm(dim=1) <= 2 * error).all())
    assert float(error.max()) < 1e-12
