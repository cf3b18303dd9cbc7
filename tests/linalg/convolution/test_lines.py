"""Lines read the pixels that torch reads."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from tests.linalg.convolution.image_sizes import MODES

from onelip.linalg.convolution.lines import adjoint_line, conv_line


def pixel_indices(size, pads, mode):
    """Padded positions as pixel numbers counted from 1, 0 for none, by torch itself."""
    numbers = torch.arange(1.0, size + 1).reshape(1, 1, size)
    return F.pad(numbers, pads, mode={"zeros": "constant"}.get(mode, mode)).flatten().long()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (3, 2)])
def test_reads_are_torchs_windows(mode, stride, dilation):
    for size, pads, kernel in itertools.product((4, 7), ((0, 0), (1, 2), (3, 3)), (1, 3)):
        padded = pixel_indices(size, pads, mode)
        reach = dilation * (kernel - 1) + 1
        if reach > len(padded):
            continue
        expected = padded.unfold(0, reach, stride)[:, ::dilation] - 1
        line = conv_line(size, kernel, stride=stride, dilation=dilation, pads=pads, mode=mode)
        assert torch.equal(line.reads, expected)
        assert torch.equal(line.selections().sum(1).long(), line.readers())
        squares = torch.linalg.matrix_norm(line.selections(), 2) ** 2
        assert torch.allclose(squares, line.norms_sq.double(), atol=1e-12)


def test_adjoint_lines_are_transposed_convolutions():
    for stride, dilation, padding, extra in itertools.product((1, 2, 3), (1, 2), (0, 1), (0, 1)):
        if extra >= max(stride, dilation):
            continue
        weight = torch.tensor([1.0, 10.0, 100.0]).reshape(1, 1, 3)
        image = torch.eye(5).reshape(5, 1, 5)
        expected = F.conv_transpose1d(image, weight, None, stride, padding, extra, 1, dilation)[:, 0]
        line = adjoint_line(5, 3, stride=stride, dilation=dilation, padding=padding, output_padding=extra)
        found = torch.tensordot(weight.flatten().double(), line.selections(), 1)
        assert torch.equal(found, expected.double())


def test_rings_hold_their_lines():
    # Multiplication by 1 at each tap: the ring's operator has norm `kernel`, and no section of it more.
    for mode, size, pads in itertools.product(MODES, (5, 6), ((1, 1), (0, 3), (2, 2))):
        for stride in (1, 2):
            line = conv_line(size, 3, stride=stride, pads=pads, mode=mode)
            norm = float(torch.linalg.matrix_norm(line.selections().sum(0), 2))
            assert norm <= 3 * line.ring.copies**0.5 * (1 + 1e-12)
            assert line.ring.length >= line.outputs
            assert not line.ring.whole or line.ring.length == line.outputs


def test_wrong_lines_are_refused():
    with pytest.raises(ValueError, match="mode='mirror'"):
        conv_line(4, 3, mode="mirror")
    with pytest.raises(ValueError, match="leaves no output"):
        conv_line(2, 3)
    with pytest.raises(ValueError, match="must be smaller than size=3"):
        conv_line(3, 3, pads=(3, 0), mode="reflect")
    with pytest.raises(ValueError, match="leaves no output"):
        adjoint_line(1, 1, padding=1)
    with pytest.raises(ValueError, match="must not be negative"):
        adjoint_line(3, 3, padding=-1)
