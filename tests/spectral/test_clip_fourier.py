import pytest
import torch
from tests.spectral.clipping import enlarged, values
from torch import nn

from onelip.spectral.clip_fourier import clip_symbol, symbol_of, torus_norm


@pytest.mark.parametrize(("stride", "groups", "dilation"), [(1, 1, 1), (2, 1, 1), (3, 2, 1), (1, 2, 2)])
def test_on_a_circle_the_matrices_have_the_values_of_the_layer(stride, groups, dilation):
    span = 2 * dilation
    conv = nn.Conv2d(2, 4, 3, stride, span // 2, dilation, groups, padding_mode="circular").double()
    symbol = symbol_of(conv, (2, 6, 6), most=None)
    kernel = conv.weight.detach().unflatten(0, (groups, -1)).flatten(3)
    blocks = symbol.apply(kernel) / symbol.counts.sqrt()[:, None, None]
    found = torch.linalg.svdvals(blocks).repeat_interleave(symbol.counts.long(), dim=1).flatten().sort(descending=True)
    expected = values(conv, (2, 6, 6))
    torch.testing.assert_close(found.values, expected[: len(found.values)])


def test_transposed_kernels_have_the_matrices_of_their_adjoint():
    up = nn.ConvTranspose1d(3, 2, 4, stride=2, padding=1).double()
    symbol = symbol_of(up, (3, 6))
    down = nn.Conv1d(2, 3, 4, stride=2, padding=1).double()
    down.weight = up.weight
    assert torch.equal(symbol.apply(up.weight[None]), symbol_of(down, (2, 12)).apply(down.weight[None]))


def test_the_adjoint_is_one_and_the_norm_is_its_norm():
    conv = nn.Conv2d(2, 3, 3, 2, 1).double()
    symbol = symbol_of(conv, (2, 6, 6))
    kernel = torch.randn(1, 3, 2, 9, dtype=torch.float64)
    matrices = torch.randn_like(symbol.apply(kernel))
    pairing = (symbol.apply(kernel).conj() * matrices).sum().real
    torch.testing.assert_close(pairing, (kernel * symbol.adjoint(matrices)).sum())
    assert symbol.apply(kernel).norm() ** 2 == pytest.approx(symbol.square_norm * float(kernel.norm()) ** 2)


def test_clipped_symbols_keep_zero_padded_images_below():
    torch.manual_seed(0)
    conv = enlarged(nn.Conv2d(2, 2, 3, padding=1), 3)
    symbol = symbol_of(conv, (2, 6, 6), most=None)
    found = clip_symbol(conv, symbol, 0.5, max_iter=200)
    with torch.no_grad():
        conv.weight.copy_(found.point.reshape(conv.weight.shape))
    assert values(conv, (2, 6, 6))[0] <= 0.5 * (1 + 1e-5)
    assert found.distance <= 1.03 * found.least_distance


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(2, 3, 3, padding=1),
        nn.Conv2d(2, 4, 3, 2, 2, 2, 2),
        nn.Conv2d(2, 3, 3, 3, padding=1, padding_mode="circular"),
        nn.Conv2d(2, 3, 3, padding="same", padding_mode="circular"),
        nn.ConvTranspose2d(3, 2, 3, stride=2, padding=1),
    ],
)
def test_the_circle_proves_a_norm(conv):
    shape = (conv.in_channels, 6, 6)
    conv = conv.double()
    top, proved = float(values(conv, shape)[0]), torus_norm(conv, shape)
    assert top * (1 - 1e-9) <= proved <= 1.5 * top
    if conv.padding_mode == "circular":
        assert proved == pytest.approx(top)


def test_where_there_is_no_circle_nothing_is_proved():
    assert torus_norm(nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"), (2, 6, 6)) is None
    # Outputs that are there twice, and a stride that ends elsewhere.
    assert torus_norm(nn.Conv2d(2, 2, 3, padding=2, padding_mode="circular"), (2, 6, 6)) is None
    assert torus_norm(nn.Conv2d(2, 2, 3, 2, 1, padding_mode="circular"), (2, 5, 5)) is None


def test_the_circle_has_room_for_the_padding():
    conv = nn.Conv1d(1, 1, 2, padding=1)
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([[[1.0, -1.0]]]))
    # One pixel becomes (1, -1), and a circle of one position would make 0 of it.
    assert torus_norm(conv, (1, 1)) == pytest.approx(2.0)
