import pytest
import torch
import torch.nn.functional as F

from onelip.certify.convolve import adjoint_weight, convolve

CASES = [
    # in, out, kernel, stride, dilation, groups, image, batch
    (3, 4, (3, 3), (1, 1), (1, 1), 1, (20, 22), 5),
    (4, 6, (3, 2), (2, 1), (1, 2), 2, (9, 30), 3),
    (4, 4, (3, 3), (1, 1), (1, 1), 1, (6, 5), 7),
    (4, 4, (1, 1), (1, 1), (1, 1), 4, (3, 3), 1),
    (64, 2, (5, 5), (1, 1), (1, 1), 1, (24, 24), 4),
    (2, 2, (3, 3), (1, 1), (1, 1), 1, (8, 8), 0),
]


@pytest.mark.parametrize(("inputs", "outputs", "kernel", "stride", "dilation", "groups", "image", "batch"), CASES)
def test_is_the_convolution_as_sums_over_taps(inputs, outputs, kernel, stride, dilation, groups, image, batch):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, inputs, *image, generator=generator, dtype=torch.float64)
    weight = torch.randn(outputs, inputs // groups, *kernel, generator=generator, dtype=torch.float64)
    bias = torch.randn(outputs, generator=generator, dtype=torch.float64)
    y = convolve(x, weight, bias, stride, dilation, groups)
    rows = (image[0] - dilation[0] * (kernel[0] - 1) - 1) // stride[0] + 1
    columns = (image[1] - dilation[1] * (kernel[1] - 1) - 1) // stride[1] + 1
    expected = torch.zeros(batch, outputs, rows, columns, dtype=torch.float64) + bias[:, None, None]
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            top, left = i * dilation[0], j * dilation[1]
            seen = x[:, :, top : top + stride[0] * rows : stride[0], left : left + stride[1] * columns : stride[1]]
            grouped = seen[:, :, :rows, :columns].unflatten(1, (groups, -1))
            tap = weight[:, :, i, j].unflatten(0, (groups, -1))
            expected += torch.einsum("goi,ngihw->ngohw", tap, grouped).flatten(1, 2)
    assert y.shape == expected.shape
    assert y.is_contiguous()
    assert torch.allclose(y, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("groups", [1, 2])
def test_the_adjoint_has_the_inner_products_of_the_transposed_convolution(groups):
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(6, 4 // groups, 3, 2, generator=generator, dtype=torch.float64)
    y = torch.randn(2, 6, 7, 8, generator=generator, dtype=torch.float64)
    expected = F.conv_transpose2d(y, weight, groups=groups)
    found = F.conv2d(F.pad(y, (1, 1, 2, 2)), adjoint_weight(weight, groups), groups=groups)
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)
