import pytest
import torch
import torch.nn.functional as F
from torch import nn

from onelip.bounds import UnknownLipschitzConstant, lipschitz_bound, resize_rules
from onelip.bounds.resize_rules import Resize, along_axes, nearest_places, resize_bound, resize_matrices


def test_matrices_give_the_image():
    image = torch.randn(2, 3, 5, 4, 6, dtype=torch.float64)
    resize = Resize((7, 3, 6), mode="trilinear", align_corners=True)
    torch.testing.assert_close(along_axes(image, resize_matrices(resize, (5, 4, 6))), resize(image))


def test_norms_by_hand():
    assert resize_bound(Resize(scale_factor=2), (3, 3)).value == 2
    assert resize_bound(Resize((7,)), (3,)).value == pytest.approx(3**0.5)
    # Every pixel of a constant image twice as long is that constant.
    assert resize_bound(Resize((8,), mode="linear"), (4,)).value >= 2**0.5 * (1 - 1e-12)


def test_places_are_those_of_torch():
    places = nearest_places(Resize((5, 2), mode="nearest-exact"), (3, 4))
    image = torch.arange(12.0).reshape(1, 1, 3, 4)
    assert torch.equal(image[0, 0][places[0]][:, places[1]], F.interpolate(image, (5, 2), mode="nearest-exact")[0, 0])


def test_what_torch_computes_otherwise_is_refused(monkeypatch):
    monkeypatch.setattr(resize_rules, "resize_matrix", lambda n, m, *_: torch.full((m, n), 1 / n, dtype=torch.float64))
    with pytest.raises(UnknownLipschitzConstant, match="differently from its definition"):
        lipschitz_bound(nn.Upsample(scale_factor=2, mode="bilinear"), (1, 4, 4))


def test_unknown_modes_are_refused():
    module = nn.Upsample(scale_factor=2)
    module.mode = "wild"
    with pytest.raises(UnknownLipschitzConstant, match="mode='wild'"):
        lipschitz_bound(module, (1, 4, 4))
