"""Every module and function of torch that a CNN is made of, with an example of each: what is bounded, what is refused.

`tests/certify/test_every_module.py` measures all of them; `docs/supported-modules.md` lists them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """An example.

    Attributes:
        name: Of the module's class, or of the function.
        options: What is special about this example; "" for nothing.
        build: Makes it.
        shape: Of one input sample.
        slack: Factor by which the bound may exceed the largest local constant found; None for any.
    """

    name: str
    options: str
    build: Callable[[], nn.Module]
    shape: Shape
    slack: float | None = None

    def __str__(self) -> str:
        return f"{self.name}({self.options})"


class Call(nn.Module):
    """A function as a module, with stored numbers to compute with.

    Args:
        function: Of this module and a signal.
        **numbers: Buffers by name.
    """

    def __init__(self, function: Callable[[Any, Tensor], Tensor], **numbers: Tensor) -> None:
        super().__init__()
        self.function = function
        for name, value in numbers.items():
            self.register_buffer(name, value)

    def forward(self, x: Tensor) -> Tensor:
        """Call it.

        Args:
            x: The signal.

        Returns:
            What the function gives.
        """
        return self.function(self, x)


EXACT = 1 + 1e-6
"""Slack of linear maps whose norm is known but for rounding."""

LINE, IMAGE, VOLUME = (3, 9), (2, 7, 6), (2, 4, 3, 3)
"""Shapes with 1, 2 and 3 axes."""

IMAGES = {1: LINE, 2: IMAGE, 3: VOLUME}


def _module(kind: type[nn.Module], shape: Shape, *args: Any, slack: float | None = None, **kwargs: Any) -> Case:
    words = [*map(str, args), *(f"{key}={value!r}" for key, value in kwargs.items())]
    return Case(kind.__name__, ", ".join(words).replace("'", '"'), lambda: kind(*args, **kwargs), shape, slack)


def _call(
    name: str, options: str, function: Callable[[Any, Tensor], Tensor], shape: Shape, slack: float | None = None
) -> Case:
    return Case(name, options, lambda: Call(function), shape, slack)


def _normal(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(5))


def _convolutions() -> list[Case]:
    by_axes = {
        1: (nn.Conv1d, nn.ConvTranspose1d),
        2: (nn.Conv2d, nn.ConvTranspose2d),
        3: (nn.Conv3d, nn.ConvTranspose3d),
    }
    cases = [_module(nn.Linear, (5,), 5, 4, slack=EXACT), _module(nn.Linear, (2, 5), 5, 4, bias=False, slack=EXACT)]
    for n, (kind, transposed) in by_axes.items():
        shape = (4, *IMAGES[n][1:])
        cases += [
            _module(kind, shape, 4, 6, 3, padding=1),
            _module(kind, shape, 4, 6, 2, stride=2, groups=2, bias=False),
            _module(kind, shape, 4, 4, 2, dilation=2, padding="same", padding_mode="circular", groups=4),
            _module(kind, shape, 4, 2, 3, padding=2, padding_mode="reflect"),
            _module(kind, shape, 4, 2, 3, padding=1, stride=2, padding_mode="replicate"),
            _module(transposed, shape, 4, 6, 3, stride=2, padding=1, output_padding=1, groups=2),
            _module(transposed, shape, 4, 2, 2, dilation=2, bias=False),
        ]
    return cases


def _normalisations() -> list[Case]:
    kinds = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
    cases = [_module(kind, IMAGES[n], IMAGES[n][0], slack=EXACT) for n, kind in kinds.items()]
    cases += [_module(nn.BatchNorm2d, IMAGE, 2, eps=0.1, affine=False, slack=EXACT)]
    return [*cases, _module(nn.BatchNorm1d, (4,), 4, slack=EXACT), _module(nn.SyncBatchNorm, IMAGE, 2, slack=EXACT)]


def _pools() -> list[Case]:
    averages = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
    largest = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
    adaptive = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}
    adaptive_largest = {1: nn.AdaptiveMaxPool1d, 2: nn.AdaptiveMaxPool2d, 3: nn.AdaptiveMaxPool3d}
    powers = {1: nn.LPPool1d, 2: nn.LPPool2d, 3: nn.LPPool3d}
    cases = []
    for n, shape in IMAGES.items():
        cases += [
            _module(averages[n], shape, 2, slack=EXACT),
            _module(averages[n], shape, 3, stride=2, padding=1, slack=EXACT),
            _module(averages[n], shape, 3, 2, 1, ceil_mode=True, count_include_pad=False, slack=EXACT),
            _module(largest[n], shape, 2),
            _module(largest[n], shape, 3, stride=2, padding=1, ceil_mode=True),
            _module(largest[n], shape, 2, stride=1, dilation=2),
            _module(adaptive[n], shape, 1, slack=EXACT),
            _module(adaptive[n], shape, 2, slack=EXACT),
            _module(adaptive_largest[n], shape, 2),
            _module(powers[n], shape, 1, 2, stride=1, slack=EXACT),
        ]
    wide = [_module(kind, IMAGES[n], 2, 3, stride=2, ceil_mode=True) for n, kind in powers.items() if n < 3]
    return [
        *cases,
        *wide,
        _module(nn.LPPool1d, LINE, 2, 2),
        _module(nn.AvgPool2d, IMAGE, (2, 3), divisor_override=5, slack=EXACT),
        _module(nn.AvgPool3d, VOLUME, 2, divisor_override=3, slack=EXACT),
        _module(nn.AdaptiveAvgPool2d, IMAGE, (3, None), slack=EXACT),
        _module(nn.AdaptiveAvgPool3d, VOLUME, (3, None, 2), slack=EXACT),
        _module(nn.AdaptiveMaxPool2d, IMAGE, (None, 4)),
    ]


def _resizing() -> list[Case]:
    cases = [
        _module(nn.Upsample, IMAGE, scale_factor=2, slack=EXACT),
        _module(nn.Upsample, LINE, size=13, mode="nearest", slack=EXACT),
        _module(nn.Upsample, VOLUME, scale_factor=(2.0, 1.5, 1.0), slack=EXACT),
        _module(nn.UpsamplingNearest2d, IMAGE, scale_factor=3, slack=EXACT),
        _module(nn.UpsamplingBilinear2d, IMAGE, scale_factor=2, slack=EXACT),
    ]
    modes = {1: ("linear", "area", "nearest-exact"), 2: ("bilinear", "bicubic", "area"), 3: ("trilinear", "area")}
    sizes = {1: (14, 5), 2: ((11, 4), (3, 13)), 3: ((7, 3, 5), (3, 8, 2))}
    for n, names in modes.items():
        for mode in names:
            for corners in (None,) if mode in ("area", "nearest-exact") else (False, True):
                cases += [
                    _resize(IMAGES[n], size=size, mode=mode, align_corners=corners) for size in sizes[n]
                ]  # fmt: skip
            if mode != "area":
                cases.append(_resize(IMAGES[n], scale_factor=1.7, mode=mode))
    cases.append(_resize(IMAGE, scale_factor=0.6, mode="bilinear", recompute_scale_factor=True))
    return [
        *cases,
        *(_resize(IMAGE, size=(4, 3), mode=mode, antialias=True) for mode in ("bilinear", "bicubic")),
        _resize(IMAGE, size=(9, 4), mode="bilinear", align_corners=True, antialias=True),
    ]


def _resize(shape: Shape, **options: Any) -> Case:
    options = {key: value for key, value in options.items() if value is not None}
    words = ", ".join(f"{key}={value!r}" for key, value in options.items()).replace("'", '"')
    return _call("F.interpolate", words, lambda m, x: F.interpolate(x, **options), shape, EXACT)


def _pads() -> list[Case]:
    constant = {1: nn.ConstantPad1d, 2: nn.ConstantPad2d, 3: nn.ConstantPad3d}
    others = [
        {1: nn.ZeroPad1d, 2: nn.ZeroPad2d, 3: nn.ZeroPad3d},
        {1: nn.ReflectionPad1d, 2: nn.ReflectionPad2d, 3: nn.ReflectionPad3d},
        {1: nn.ReplicationPad1d, 2: nn.ReplicationPad2d, 3: nn.ReplicationPad3d},
        {1: nn.CircularPad1d, 2: nn.CircularPad2d, 3: nn.CircularPad3d},
    ]
    pads = {1: (2, 1), 2: (1, 0, 2, 3), 3: (1, 0, 2, 1, 0, 1)}
    cases = [_module(kinds[n], shape, pads[n], slack=EXACT) for kinds in others for n, shape in IMAGES.items()]
    cases += [_module(kind, IMAGES[n], pads[n], -1.5, slack=EXACT) for n, kind in constant.items()]
    cases += [_call("F.pad", f"{pads[2]}, {mode!r}".replace("'", '"'), _padding(pads[2], mode), IMAGE, EXACT)
              for mode in ("constant", "reflect", "replicate", "circular")]  # fmt: skip
    return [
        *cases,
        _module(nn.ZeroPad2d, IMAGE, (-1, 2, 0, -2), slack=EXACT),
        _module(nn.ReplicationPad2d, IMAGE, (-1, 2, 0, 1), slack=EXACT),
        _call("F.pad", "(-1, -2, 1, 0), value=3", lambda m, x: F.pad(x, (-1, -2, 1, 0), value=3.0), IMAGE, EXACT),
        _call("F.pad", "(0, 0, 0, 0, 0, 2)", lambda m, x: F.pad(x, (0, 0, 0, 0, 0, 2)), IMAGE, EXACT),
    ]


def _padding(pads: tuple[int, ...], mode: str) -> Callable[[Any, Tensor], Tensor]:
    return lambda m, x: F.pad(x, pads, mode=mode)


def _shapes() -> list[Case]:
    image = (4, 6, 4)
    calls: dict[str, Callable[[Any, Tensor], Tensor]] = {
        "torch.flatten": lambda m, x: torch.flatten(x, 1),
        "Tensor.view": lambda m, x: x.view(x.shape[0], -1, x.size(3)),
        "torch.reshape": lambda m, x: torch.reshape(x, (-1, 2, 48)),
        "Tensor.unflatten": lambda m, x: x.unflatten(1, (2, 2)),
        "Tensor.permute": lambda m, x: x.permute(0, 2, 3, 1),
        "torch.transpose": lambda m, x: torch.transpose(x, 1, -1),
        "Tensor.movedim": lambda m, x: x.movedim(1, -1),
        "Tensor.squeeze": lambda m, x: x[:, :1].squeeze(1),
        "Tensor.unsqueeze": lambda m, x: x.unsqueeze(2),
        "torch.flip": lambda m, x: torch.flip(x, (1, 3)),
        "torch.roll": lambda m, x: torch.roll(x, (1, -2), (2, 3)),
        "Tensor.narrow": lambda m, x: x.narrow(2, 1, 3),
        "Tensor.chunk": lambda m, x: x.chunk(2, 1)[1],
        "torch.split": lambda m, x: torch.split(x, [1, 3], 1)[1],
        "Tensor.unbind": lambda m, x: x.unbind(2)[-1],
        "Tensor.diagonal": lambda m, x: x.diagonal(dim1=2, dim2=3),
        "F.channel_shuffle": lambda m, x: F.channel_shuffle(x, 2),
        "F.pixel_shuffle": lambda m, x: F.pixel_shuffle(x, 2),
        "F.pixel_unshuffle": lambda m, x: F.pixel_unshuffle(x, 2),
        "F.unfold": lambda m, x: F.unfold(x, 2, padding=1),
        "F.fold": lambda m, x: F.fold(x.flatten(2)[:, :, :9], (4, 4), 2),
        "Tensor.mT": lambda m, x: x.mT,
    }
    slices = {
        "x[:, 1:, ::2, -1]": lambda m, x: x[:, 1:, ::2, -1],
        "x[..., None, 2:5, :]": lambda m, x: x[..., None, 2:5, :],
        "x[:, 2]": lambda m, x: x[:, 2],
    }
    return [
        *(_call(name, "", function, image, EXACT) for name, function in calls.items()),
        *(_call("Tensor.__getitem__", name, function, image, EXACT) for name, function in slices.items()),
        _module(nn.Flatten, image, slack=EXACT),
        _module(nn.Unflatten, image, 1, (2, 2), slack=EXACT),
        _module(nn.PixelShuffle, image, 2, slack=EXACT),
        _module(nn.PixelUnshuffle, image, 2, slack=EXACT),
        _module(nn.ChannelShuffle, image, 2, slack=EXACT),
        _module(nn.Unfold, IMAGE, 3, padding=1, stride=2, slack=EXACT),
        _module(nn.Fold, (8, 12), (4, 5), 2, slack=EXACT),
        _module(nn.Fold, (4, 3), (5, 4), (2, 1), dilation=(2, 1), padding=(0, 1), stride=(3, 2), slack=EXACT),
        _module(nn.Identity, image, slack=EXACT),
        *(_module(kind, image) for kind in (nn.Dropout, nn.Dropout2d, nn.AlphaDropout, nn.FeatureAlphaDropout)),
        _module(nn.Dropout1d, LINE),
        _module(nn.Dropout3d, VOLUME),
    ]


def _activations() -> list[Case]:
    kinds = (
        nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish,
        nn.Softplus, nn.Softsign, nn.Tanh, nn.Sigmoid, nn.LogSigmoid, nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish,
        nn.Softshrink, nn.Tanhshrink,
    )  # fmt: skip
    shape = (3, 4)
    softmaxes = [_module(kind, (5,), dim=1) for kind in (nn.Softmax, nn.Softmin, nn.LogSoftmax)]
    return [
        *(_module(kind, shape) for kind in kinds),
        _module(nn.ELU, shape, 2.5),
        _module(nn.CELU, shape, 0.3),
        _module(nn.GELU, shape, "tanh"),
        _module(nn.Softplus, shape, beta=3.0, threshold=25.0),
        _module(nn.Softplus, shape, beta=-0.5),
        _module(nn.Hardtanh, shape, -0.5, 2.0),
        _module(nn.LeakyReLU, shape, -1.5),
        _module(nn.PReLU, shape, 3, init=-1.25),
        _module(nn.Threshold, shape, 0.5, 0.5),
        *softmaxes,
        _module(nn.Softmax2d, (4, 2, 2)),
    ]


def _activation_functions() -> list[Case]:
    plain: dict[str, Callable[[Tensor], Tensor]] = {
        "F.relu": F.relu, "F.relu6": F.relu6, "F.silu": F.silu, "F.mish": F.mish, "F.selu": F.selu, "F.gelu": F.gelu,
        "F.softsign": F.softsign, "F.logsigmoid": F.logsigmoid, "F.hardsigmoid": F.hardsigmoid,
        "F.hardswish": F.hardswish, "F.tanhshrink": F.tanhshrink, "torch.sigmoid": torch.sigmoid,
        "torch.tanh": torch.tanh, "torch.sin": torch.sin, "torch.cos": torch.cos, "torch.atan": torch.atan,
        "torch.abs": torch.abs,
    }  # fmt: skip
    with_options: dict[str, Callable[[Any, Tensor], Tensor]] = {
        "torch.clamp(-0.5, 1)": lambda m, x: torch.clamp(x, -0.5, 1.0),
        "Tensor.clamp(min=0.25)": lambda m, x: x.clamp(min=0.25),
        "Tensor.clamp_max(0.25)": lambda m, x: x.clamp_max(0.25),
        "F.hardtanh(-2, 1)": lambda m, x: F.hardtanh(x, -2.0, 1.0),
        "F.elu(2)": lambda m, x: F.elu(x, 2.0),
        "F.celu(0.5)": lambda m, x: F.celu(x, alpha=0.5),
        "F.leaky_relu(0.2)": lambda m, x: F.leaky_relu(x, 0.2),
        "F.softplus(2)": lambda m, x: F.softplus(x, 2.0),
        "F.softshrink(0.25)": lambda m, x: F.softshrink(x, 0.25),
        "F.threshold(1, 1)": lambda m, x: F.threshold(x, 1.0, 1.0),
        "F.softmax(dim=-1)": lambda m, x: F.softmax(x, dim=-1),
        "F.softmin(dim=1)": lambda m, x: F.softmin(x, dim=1),
        "F.log_softmax(dim=1)": lambda m, x: F.log_softmax(x, dim=1),
        "F.dropout": lambda m, x: F.dropout(x, training=m.training),
    }
    cases = [_call(name, "", lambda m, x, f=f: f(x), (3, 4)) for name, f in plain.items()]
    for text, function in with_options.items():
        name, _, options = text.rstrip(")").partition("(")
        cases.append(_call(name, options, function, (3, 4)))
    return [*cases, Case("F.prelu", "", lambda: Call(lambda m, x: F.prelu(x, m.slope), slope=_normal(3)), (3, 4))]


def _arithmetic() -> list[Case]:
    numbers = {"c": _normal(2, 1, 1), "full": _normal(2, 7, 6), "matrix": _normal(5, 6), "left": _normal(4, 7)}
    calls: dict[str, tuple[str, Callable[[Any, Tensor], Tensor], float | None]] = {
        "add": ("x + c", lambda m, x: x + m.c, EXACT),
        "add2": ("2 + x, alpha", lambda m, x: torch.add(x, m.full, alpha=2) + 2, EXACT),
        "sub": ("c - x", lambda m, x: m.c - x, EXACT),
        "sub2": ("x - 0.5", lambda m, x: x - 0.5, EXACT),
        "mul": ("c x", lambda m, x: m.c * x, EXACT),
        "mul2": ("3 x", lambda m, x: x.mul(3), EXACT),
        "div": ("x / c", lambda m, x: x / m.c, EXACT),
        "div2": ("x / 3", lambda m, x: x / 3, EXACT),
        "neg": ("-x", lambda m, x: -x, EXACT),
        "matmul": ("x W^T", lambda m, x: x @ m.matrix.T, EXACT),
        "matmul2": ("W x", lambda m, x: m.left @ x, EXACT),
        "linear": ("F.linear", lambda m, x: F.linear(x, m.matrix), EXACT),
        "mean": ("x.mean((2, 3))", lambda m, x: x.mean((2, 3)), EXACT),
        "mean2": ("x.mean(1, keepdim=True)", lambda m, x: x.mean(1, keepdim=True), EXACT),
        "sum": ("x.sum(-1)", lambda m, x: x.sum(-1), EXACT),
        "amax": ("x.amax((2, 3))", lambda m, x: x.amax((2, 3)), EXACT),
        "amin": ("x.amin(1)", lambda m, x: x.amin(1), EXACT),
        "max": ("x.max(2)[0]", lambda m, x: x.max(2)[0], EXACT),
        "max2": ("x.max(-1).values", lambda m, x: x.max(-1).values, EXACT),
        "min": ("x.min(1)[0]", lambda m, x: x.min(1)[0], EXACT),
        "sort2": ("torch.sort, descending", lambda m, x: torch.sort(x, 2, descending=True)[0], EXACT),
        "sort": ("x.sort(1)[0]", lambda m, x: x.sort(1)[0], EXACT),
        "maximum": ("maximum of two signals", lambda m, x: torch.maximum(x, 2 * x.flip(2)), None),
        "minimum": ("minimum with numbers", lambda m, x: torch.minimum(x, m.c), EXACT),
        "maximum2": ("maximum with numbers", lambda m, x: torch.maximum(m.full, x), EXACT),
        "expand": ("x.mean(1, True).expand", lambda m, x: x.mean(1, True).expand(-1, 3, -1, -1), EXACT),
        "repeat": ("x.repeat", lambda m, x: x.repeat(1, 1, 2, 1), EXACT),
        "convert": ("x.double", lambda m, x: x.double() * 1, EXACT),
        "constant": ("numbers computed in the network", lambda m, x: x * (m.c.abs() + 1), EXACT),
    }
    return [
        Case(key.rstrip("2"), options, lambda f=function: Call(f, **numbers), IMAGE, slack)
        for key, (options, function, slack) in calls.items()
    ]


def _functions() -> list[Case]:
    kernels = {1: _normal(6, 2, 3), 2: _normal(6, 2, 3, 2), 3: _normal(6, 2, 3, 2, 2)}
    plain = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
    transposed = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
    cases = []
    for n, kernel in kernels.items():
        numbers = {"k": kernel, "b": _normal(6), "kt": kernel.transpose(0, 1).contiguous()}
        shape = (2, *IMAGES[n][1:])
        examples: list[tuple[Any, str, dict[str, Any]]] = [
            (plain[n], "padding=\"same\", dilation=2", {"padding": "same", "dilation": 2}),
            (plain[n], "padding=\"valid\", stride=2", {"padding": "valid", "stride": 2}),
            (plain[n], "padding=1", {"padding": 1}),
        ]  # fmt: skip
        for function, options, arguments in examples:
            cases.append(_with_kernel(function, options, arguments, numbers, shape, "k"))
        cases.append(
            _with_kernel(transposed[n], "stride=2, padding=1", {"stride": 2, "padding": 1}, numbers, shape, "kt")
        )
    statistics = {"mean": _normal(2), "var": _normal(2).square() + 0.5}
    normal = Case(
        "F.batch_norm", "", lambda: Call(lambda m, x: F.batch_norm(x, m.mean, m.var), **statistics), IMAGE, EXACT
    )
    return [*cases, normal, *_pool_functions()]


def _with_kernel(
    function: Any, options: str, arguments: dict[str, Any], numbers: dict[str, Tensor], shape: Shape, kernel: str
) -> Case:
    def build() -> nn.Module:
        return Call(lambda m, x: function(x, getattr(m, kernel), m.b, **arguments), **numbers)

    return Case(f"F.{function.__name__}", options, build, shape)


def _pool_functions() -> list[Case]:
    calls: dict[str, tuple[int, Callable[[Any, Tensor], Tensor], float | None]] = {
        "F.avg_pool1d(3, 2, padding=1)": (1, lambda m, x: F.avg_pool1d(x, 3, 2, padding=1), EXACT),
        "F.avg_pool2d(2)": (2, lambda m, x: F.avg_pool2d(x, 2), EXACT),
        "F.avg_pool3d(2, ceil_mode=True)": (3, lambda m, x: F.avg_pool3d(x, 2, ceil_mode=True), EXACT),
        "F.max_pool1d(3, 2)": (1, lambda m, x: F.max_pool1d(x, 3, 2), None),
        "F.max_pool2d(3, 2, 1, 2)": (2, lambda m, x: F.max_pool2d(x, 3, 2, 1, 2), None),
        "F.max_pool3d(2)": (3, lambda m, x: F.max_pool3d(x, 2), None),
        "F.lp_pool1d(2, 3, stride=2)": (1, lambda m, x: F.lp_pool1d(x, 2, 3, stride=2), None),
        "F.lp_pool2d(2, 2)": (2, lambda m, x: F.lp_pool2d(x, 2.0, 2), None),
        "F.adaptive_avg_pool1d(4)": (1, lambda m, x: F.adaptive_avg_pool1d(x, 4), EXACT),
        "F.adaptive_avg_pool2d((2, None))": (2, lambda m, x: F.adaptive_avg_pool2d(x, (2, None)), EXACT),
        "F.adaptive_avg_pool3d(2)": (3, lambda m, x: F.adaptive_avg_pool3d(x, 2), EXACT),
        "F.adaptive_max_pool1d(4)": (1, lambda m, x: F.adaptive_max_pool1d(x, 4), None),
        "F.adaptive_max_pool2d(3)": (2, lambda m, x: F.adaptive_max_pool2d(x, 3), None),
        "F.adaptive_max_pool3d(2)": (3, lambda m, x: F.adaptive_max_pool3d(x, 2), None),
    }
    cases = []
    for text, (n, function, slack) in calls.items():
        name, _, options = text[:-1].partition("(")
        cases.append(_call(name, options, function, IMAGES[n], slack))
    return cases


class Graph(nn.Module):
    """Residual connections, joins and modules used twice.

    Args:
        kind: Which of them.
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.first, self.second = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Apply it.

        Args:
            x: `(N, 2, H, W)`.

        Returns:
            A signal.
        """
        return getattr(self, f"_{self.kind}")(x)

    def _residual(self, x: Tensor) -> Tensor:
        return x + self.second(torch.relu(self.first(x)))

    def _difference(self, x: Tensor) -> Tensor:
        return torch.sub(x, self.first(x), alpha=0.5) - self.second(x)

    def _reused(self, x: Tensor) -> Tensor:
        return self.second(self.second(x)) + x + x

    def _joined(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.first(x), x], 2)

    def _stacked(self, x: Tensor) -> Tensor:
        return torch.stack([self.first(x), x], -1)

    def _broadcast(self, x: Tensor) -> Tensor:
        return x.mean((2, 3), keepdim=True) + self.first(x)

    def _gate(self, x: Tensor) -> Tensor:
        return torch.maximum(self.first(x), x.mean(1, keepdim=True))

    def _in_place(self, x: Tensor) -> Tensor:
        y = self.first(x)
        y += x
        return F.relu(y, inplace=True)


def _graphs() -> list[Case]:
    kinds = ("residual", "difference", "reused", "joined", "stacked", "broadcast", "gate", "in_place")
    return [Case("graph", kind.replace("_", " "), lambda kind=kind: Graph(kind), (2, 5, 4)) for kind in kinds]


GROUPS: dict[str, list[Case]] = {
    "Dense layers and convolutions": _convolutions(),
    "Normalisation": _normalisations(),
    "Pooling": _pools(),
    "Resizing": _resizing(),
    "Padding": _pads(),
    "Shapes and copies": _shapes(),
    "Activations": _activations(),
    "Activation functions": _activation_functions(),
    "Arithmetic": _arithmetic(),
    "Functions with weights, and pooling functions": _functions(),
    "Graphs": _graphs(),
}
"""Examples that are bounded and can be part of a certificate."""

BOUNDED_ONLY: list[Case] = [
    _module(nn.LPPool2d, IMAGE, 4, 2),
    _module(nn.LPPool3d, VOLUME, 2, 2),
]
"""Examples that are bounded, but cannot be part of a certificate."""

REFUSED: list[Case] = [
    _module(nn.LayerNorm, IMAGE, IMAGE),
    _module(nn.GroupNorm, IMAGE, 1, 2),
    _module(nn.InstanceNorm1d, LINE, 3),
    _module(nn.InstanceNorm2d, IMAGE, 2),
    _module(nn.InstanceNorm3d, VOLUME, 2),
    _module(nn.RMSNorm, IMAGE, 6),
    _module(nn.BatchNorm2d, IMAGE, 2, track_running_stats=False),
    _module(nn.LocalResponseNorm, IMAGE, 2),
    _module(nn.Hardshrink, IMAGE),
    _module(nn.GLU, IMAGE, 1),
    _module(nn.Threshold, IMAGE, 0.5, 0.0),
    _module(nn.Softplus, IMAGE, threshold=5.0),
    _module(nn.CELU, IMAGE, -1.0),
    _module(nn.Softmax, IMAGE, dim=0),
    _module(nn.LPPool2d, IMAGE, 3, 2),
    _module(nn.MaxPool2d, IMAGE, 2, return_indices=True),
    _module(nn.AdaptiveMaxPool2d, IMAGE, 2, return_indices=True),
    _module(nn.FractionalMaxPool2d, IMAGE, 2, output_size=3),
    _module(nn.MaxUnpool2d, IMAGE, 2),
    _module(nn.MultiheadAttention, (4, 6), 6, 1),
    _module(nn.Bilinear, (4,), 4, 4, 3),
    _module(nn.LSTM, (4, 6), 6, 3),
    _module(nn.Embedding, (4,), 10, 3),
    _module(nn.CosineSimilarity, (4,)),
    _module(nn.CrossEntropyLoss, (4,)),
    _module(nn.LazyLinear, (4,), 3),
    _call("F.layer_norm", "", lambda m, x: F.layer_norm(x, x.shape[1:]), IMAGE),
    _call("F.normalize", "", lambda m, x: F.normalize(x, dim=1), IMAGE),
    _call("F.hardshrink", "", lambda m, x: F.hardshrink(x), IMAGE),
    _call("F.glu", "", lambda m, x: F.glu(x, 1), IMAGE),
    _call("x * x", "", lambda m, x: x * x, IMAGE),
    _call("torch.sqrt", "", lambda m, x: torch.sqrt(x), IMAGE),
    _call("torch.round", "", lambda m, x: torch.round(x), IMAGE),
    _call("torch.flip", "along the batch", lambda m, x: torch.flip(x, (0,)), IMAGE),
    _call("Tensor.amax", "over the batch", lambda m, x: x.amax(), IMAGE),
    _call("in place", "of a value used again", lambda m, x: _changed(x), IMAGE),
]
"""Examples that are refused, with a reason."""

CONTAINERS = ("Module", "Sequential", "ModuleList", "ModuleDict", "ParameterList", "ParameterDict", "Container")
"""Classes of torch.nn that compute nothing of their own."""


def _changed(x: Tensor) -> Tensor:
    y = x + 1
    y.mul_(100)
    return y
