import torch
import torch.nn.functional as F

from onelip.certify.records import Node
from onelip.certify.window_forward import window_max, window_norm, window_sum

X = torch.randn(2, 3, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def node(row_scales=(1.0, 1.0, 1.0)):
    attributes = {
        "rows": [[0, 2], [2, 4], [4, 6]], "columns": [[0, 3], [3, 6]], "row_scales": list(row_scales),
        "column_scales": [1.0, 1.0],
    }  # fmt: skip
    return Node("n", "window", ("input",), attributes)


def test_against_torch():
    y, error = window_sum(node([1 / 6] * 3), [X])
    torch.testing.assert_close(y, F.avg_pool2d(X, (2, 3)))
    assert bool((error > 0).all())
    assert torch.equal(window_max(node(), [X])[0], F.max_pool2d(X, (2, 3)))
    torch.testing.assert_close(window_norm(node(), [X])[0], F.lp_pool2d(X, 2, (2, 3)))


def test_scales_apply_to_rows():
    scaled = window_max(node([1.0, 2.0, 0.0]), [X])[0]
    plain = window_max(node(), [X])[0]
    assert torch.equal(scaled, plain * torch.tensor([1.0, 2.0, 0.0], dtype=torch.float64)[:, None])
