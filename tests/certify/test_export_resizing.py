import torch

from onelip.bounds.resize_rules import Resize
from onelip.certify.export_resizing import resize_operation


def test_copies_and_matrices():
    nearest = resize_operation(Resize(scale_factor=2), (3, 2, 1))
    assert nearest.attributes == {"axes": [1, 2], "indices": [[0, 0, 1, 1], [0, 0]], "fill": 0.0}
    smooth = resize_operation(Resize((4, 2), mode="bilinear"), (3, 2, 2))
    assert smooth.attributes == {"axes": [1, 2]}
    expected = torch.tensor([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]], dtype=torch.float64)
    assert torch.equal(smooth.tensors["matrix0"], expected)
    assert torch.equal(smooth.tensors["matrix1"], torch.eye(2, dtype=torch.float64))
