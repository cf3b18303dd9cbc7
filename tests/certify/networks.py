"""Small networks and samples for the tests of certificates."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onelip import layers as L
from onelip.layers.conv_arguments import conv_arguments


def small() -> nn.Module:
    """Every kind of step that matters in a few thousand numbers."""
    torch.manual_seed(0)
    return nn.Sequential(
        L.Normalize([0.5, 0.4], [0.5, 0.25]),
        nn.Conv2d(2, 4, 3, padding=1),
        L.MaxMin(),
        L.ConcatResidual(nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular")),
        L.ScaledAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(36, 4),
    ).eval()


def rich() -> nn.Module:
    """Every operation of a certificate at least once."""
    torch.manual_seed(0)
    model = nn.Sequential(
        L.Normalize([0.5, 0.4], [0.5, 0.25]),
        nn.Conv2d(2, 4, 3, padding=1, padding_mode="reflect"),
        nn.BatchNorm2d(4),
        L.GroupSort(2),
        L.L2NormResidual(nn.Sequential(nn.Conv2d(4, 4, (1, 3), padding=(0, 1)), L.Abs())),
        nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=2, padding_mode="replicate"),
        L.HouseHolder(4),
        L.Sum(nn.Identity(), nn.Sequential(nn.LeakyReLU(-0.5), L.Scale(0.25))),
        L.InvertibleDownsampling2d((2, 1)),
        L.ChannelPad(10),
        nn.ConvTranspose2d(10, 4, 2, stride=2, groups=2, output_padding=0),
        nn.Conv2d(4, 6, 3, stride=2, padding=1, padding_mode="circular"),
        nn.PixelShuffle(1),
        L.CircularConvTranspose2d(
            torch.randn(6, 3, 2, 3), torch.randn(6), conv_arguments("C", 6, 6, (2, 3), 1, "same", 1, 2, "circular")
        ),
        Functions(),
        L.GradientResidual2d(0.05 * torch.randn(8, 12, 3, 2), torch.randn(8), padding_mode="circular"),
        L.GradientResidual2d(0.05 * torch.randn(8, 6, 3, 3), torch.randn(8), groups=2),
        series(),
        L.FrequencyConv2d(0.1 * torch.randn(3, 4, 2, 6, 6, dtype=torch.complex64), torch.randn(12), (3, 6)),
        L.FrequencySandwich2d(
            0.1 * torch.randn(3, 4, 2, 5, 12, dtype=torch.complex64), torch.randn(10), (3, 6), outputs=6
        ),
        nn.ZeroPad2d((1, -1, 0, 2)),
        nn.MaxPool2d(3, 2, 1),
        nn.AvgPool2d(2, 1, 1, ceil_mode=True),
        L.L2NormPool2d(2, 1),
        nn.AdaptiveMaxPool2d((2, 3)),
        L.AdaptiveL2NormPool2d(2),
        L.AdaptiveScaledAvgPool2d((2, 1)),
        nn.Flatten(2),
        nn.Conv1d(12, 12, 2, padding="same", groups=3, padding_mode="circular"),
        nn.Flatten(),
        L.GradientResidual1d(0.1 * torch.randn(5, 24), torch.randn(5)),
        L.Sandwich1d(0.1 * torch.randn(7, 48), torch.randn(7), outputs=24),
        nn.ReLU(),
        nn.Linear(24, 5),
        L.ChannelKeep(4),
    ).eval()
    model[2].running_var.uniform_(0.5, 2)
    model[2].running_mean.uniform_(-1, 1)
    return model


def around() -> nn.Module:
    """What stands around the layers: activations with numbers of their own, centring, shuffles, mixtures."""
    torch.manual_seed(0)
    model = nn.Sequential(
        L.BatchLipNorm(2, constant=1.5),
        nn.Conv2d(2, 8, 3, padding=1),
        L.LayerCentering(8),
        L.HouseHolder2(8),
        L.ChannelShuffle(2, 4),
        L.NActivation(8),
        nn.ChannelShuffle(4),
        nn.PReLU(8),
        L.BatchCentering(8),
        L.ConvexResidual(nn.Identity(), nn.Conv2d(8, 8, 1), L.BetaAbs(0.3, dim=-1)),
        L.LPReLU(),
        L.Maxout(2),
        L.MaxMinReLU(),
        nn.Flatten(),
        L.SoftHuber(0.1),
        L.LayerCentering(144, bias=False),
        nn.Linear(144, 4),
    ).eval()
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for name, values in [*model.named_parameters(), *model.named_buffers()]:
            if name.endswith(("bias", "mean", "thresholds", "logits")):
                values.normal_(0, 0.3, generator=generator)
        model[0].running_var.fill_(0.2)
        model[7].weight.uniform_(-1.2, 1.2, generator=generator)
    return L.to_plain(model)


class Functions(nn.Module):
    """Operators and functions instead of modules; keeps the shape."""

    def __init__(self) -> None:
        super().__init__()
        self.code = nn.Parameter(torch.randn(6, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        kept = torch.relu(x + self.code).abs() * 0.5
        turned = kept.permute(0, 2, 3, 1).transpose(1, 3).transpose(2, 3) - 1.5
        joined = F.max_pool2d(torch.cat([turned, -x - kept], 1), (1, 1))
        return joined.reshape(x.shape[0], 2, 6, -1).flatten(1).view(x.shape[0], 12, x.shape[2], x.shape[3])


class Smooth(nn.Module):
    """Every smooth activation, and what joins and scales signals; keeps the shape (4, 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("factors", torch.tensor([[0.5], [-1.0], [2.0], [1.5]]))

    def forward(self, x: Tensor) -> Tensor:
        x = F.silu(F.mish(F.elu(F.gelu(F.gelu(x), approximate="tanh")))) * self.factors
        x = F.softplus(F.softsign(torch.tanh(torch.sigmoid(x))), threshold=40) / self.factors
        x = F.tanhshrink(F.logsigmoid(F.hardswish(F.hardsigmoid(x)))) + torch.sin(torch.cos(torch.atan(x)))
        x = torch.maximum(F.softshrink(x, 0.01), torch.minimum(x, F.relu6(x)))
        return F.softmax(x, 1) + F.log_softmax(x, 2)


def volumes() -> nn.Module:
    """Operations in one and three dimensions, copies, matrices and smooth functions, on images (2, 6, 6)."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Unfold(3, stride=3),
        nn.Fold((6, 6), 3, stride=3),
        nn.Unflatten(2, (2, 3)),
        nn.Conv3d(2, 3, 2, padding=1, stride=(1, 2, 3)),
        nn.ConvTranspose3d(3, 2, (2, 1, 1), groups=1),
        nn.ReflectionPad3d((0, 1, 0, 0, 1, 0)),
        nn.Flatten(2),
        nn.AdaptiveAvgPool1d(9),
        nn.ConvTranspose1d(2, 4, 2, stride=2, padding=3),
        nn.MaxPool1d(4),
        Smooth(),
        nn.Flatten(),
        nn.Linear(12, 4),
    ).eval()


def series() -> nn.Module:
    """Four terms of the exponential of a skew convolution."""
    kernel = 0.05 * torch.randn(12, 6, 3, 1)
    parts = kernel.unflatten(0, (2, 6))
    kernel = (parts - parts.transpose(1, 2).flip(3, 4)).flatten(0, 1)
    return L.SkewSeries2d(kernel, torch.randn(12), (1.0, 1.0, 0.5, 1 / 6), "circular", groups=2)


def samples(shape: tuple[int, ...] = (2, 6, 6), n: int = 12) -> Tensor:
    """Images in [0, 1], seeded."""
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(3))


def predictions(model: nn.Module, x: Tensor) -> Tensor:
    """What the model says."""
    with torch.no_grad():
        return model(x).argmax(1)
