"""Which layers the contract suite builds: every record of the registry on a grid of shapes.

Nothing names a layer here. A record says what it supports; a combination that it refuses must be refused in one
sentence (`promises/arguments.py`), every other one is measured.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from tests import seeding
from torch import Tensor, nn

from onelip import layers
from onelip.layers import LayerRecord


@dataclass(frozen=True, eq=False)
class Case:
    """One way to build one layer, and an input for it.

    Attributes:
        record: The layer's entry in the registry.
        label: What is special about this case.
        arguments: Positional arguments of the class.
        options: Keyword arguments of the class.
        shape: One input, without the batch axis.
        dtype: Precision of parameters and input.
        full_circle: True where a convolution with an orthogonal kernel must be an isometry: circular padding by
            the whole reach of the kernel, or none needed, and an image that the stride divides.
    """

    record: LayerRecord
    label: str
    arguments: tuple[Any, ...]
    options: dict[str, Any] = field(default_factory=dict)
    shape: tuple[int, ...] = ()
    dtype: torch.dtype = torch.float32
    full_circle: bool = True

    @property
    def name(self) -> str:
        """Unique name, used as the test id."""
        return f"{self.record.kind}-{self.record.name}-{self.label}-{str(self.dtype).removeprefix('torch.')}"

    @property
    def make(self) -> Callable[..., nn.Module]:
        """What the registry calls to build the layer."""
        factory: Any = self.record.factory
        return factory.for_channels if self.record.kind == "activation" else factory  # type: ignore[no-any-return]

    @functools.cached_property
    def parameters(self) -> list[inspect.Parameter]:
        """The parameters of `make`."""
        return list(inspect.signature(self.make).parameters.values())

    @property
    def has_dtype(self) -> bool:
        """Is there a dtype argument? Activations and pools without parameters need none."""
        return any(p.name == "dtype" for p in self.parameters)

    def build(self, seed: int = 0, **changes: Any) -> nn.Module:
        """Build the layer from a seed.

        Args:
            seed: Given to torch's generator.
            **changes: Options that replace the case's own.

        Returns:
            The layer, in train mode.
        """
        seeding.seed(seed)
        options = {**self.options, **changes}
        if self.has_dtype:
            options.setdefault("dtype", self.dtype)
        layer = self.make(*self.arguments, **options)
        return layer if self.has_dtype else layer.to(self.dtype)

    def input(self, batch: int = 3, seed: int = 1) -> Tensor:
        """A random batch of inputs."""
        return torch.randn(batch, *self.shape, generator=torch.Generator().manual_seed(seed), dtype=self.dtype)

    def wide(self) -> Case:
        """The same case in float64."""
        return replace(self, dtype=torch.float64)

    def with_options(self, label: str, **changes: Any) -> Case:
        """The same case with other options."""
        return replace(self, label=label, options={**self.options, **changes})

    @property
    def modes_for_one(self) -> tuple[bool, ...]:
        """Modes, True for train, in which samples are treated one by one: normalization couples a training batch."""
        return (False,) if self.record.kind == "normalization" else (True, False)

    def stride(self) -> tuple[int, int]:
        """The stride as a pair."""
        stride = self.options.get("stride", 1)
        return (stride, stride) if isinstance(stride, int) else stride

    def larger_shape(self) -> tuple[int, ...]:
        """Another input size that suits the layer."""
        if len(self.shape) == 3:
            sh, sw = (2 * s for s in self.stride())
            return self.shape[0], self.shape[1] + sh, self.shape[2] + 2 * sw
        if self.record.kind == "conv1d":
            return self.shape[0], self.shape[1] + 2 * self.stride()[0]
        return self.shape


def _conv(label: str, cin: int, cout: int, kernel: Any, image: tuple[int, int], **options: Any) -> dict[str, Any]:
    full_circle = options.pop("full_circle", True)
    return {
        "label": label,
        "arguments": (cin, cout, kernel),
        "options": options,
        "shape": (cin, *image),
        "full_circle": full_circle,
    }


CORE_CONVS = (
    _conv("k3", 4, 4, 3, (4, 5), padding=1),
    _conv("widen", 3, 6, 3, (4, 4), padding=1),
    _conv("groups", 4, 4, 3, (4, 5), padding=1, groups=2),
    _conv("stride2-k3", 3, 12, 3, (4, 6), padding=1, stride=2),
)

GRID_CONVS = (
    _conv("k1", 4, 4, 1, (5, 7)),
    _conv("k1-narrow", 5, 3, 1, (4, 4)),
    _conv("k2-same", 4, 4, 2, (4, 5), padding="same"),
    _conv("k3-odd-image", 4, 4, 3, (5, 7), padding=1),
    _conv("k3-square-image", 3, 3, 3, (8, 8), padding=1),
    _conv("k3-same-8-channels", 8, 8, 3, (3, 5), padding="same"),
    _conv("k4-same", 3, 5, 4, (5, 7), padding="same"),
    _conv("k5", 4, 4, 5, (5, 6), padding=2),
    _conv("narrow", 6, 3, 3, (4, 4), padding=1),
    _conv("odd-channels", 5, 5, 3, (4, 4), padding=1),
    _conv("one-channel", 1, 1, 3, (5, 7), padding=1),
    _conv("one-to-many", 1, 4, 3, (4, 5), padding=1),
    _conv("many-to-one", 4, 1, 3, (4, 5), padding=1),
    _conv("two-channels", 2, 2, 3, (5, 5), padding=1),
    _conv("groups-widen", 4, 8, 3, (4, 5), padding=1, groups=2),
    _conv("groups-narrow", 8, 4, 3, (3, 5), padding=1, groups=2),
    _conv("groups-of-one-channel", 4, 4, 3, (4, 5), padding=1, groups=4),
    _conv("groups-of-one-input", 3, 6, 3, (5, 5), padding=1, groups=3),
    _conv("stride-is-kernel", 2, 8, 2, (6, 8), stride=2),
    _conv("stride-is-kernel-narrow", 4, 4, 2, (4, 6), stride=2),
    _conv("stride-is-kernel-3", 1, 9, 3, (6, 6), stride=3),
    _conv("stride2-k4", 2, 8, 4, (6, 8), padding=1, stride=2),
    _conv("stride2-k4-narrow", 6, 2, 4, (4, 6), padding=1, stride=2),
    _conv("stride2-k3-square", 4, 4, 3, (4, 6), padding=1, stride=2),
    _conv("stride2-k5-groups", 4, 16, 5, (4, 6), padding=2, stride=2, groups=2),
    _conv("stride3-k5", 1, 9, 5, (6, 9), padding=2, stride=3),
    _conv("stride-beyond-kernel", 4, 4, 1, (4, 4), stride=2, full_circle=False),
    _conv("stride-rectangular", 2, 8, (3, 4), (4, 6), padding=(1, 1), stride=(1, 2)),
    _conv("dilation", 4, 4, 3, (5, 6), padding=2, dilation=2),
    _conv("dilation-widen", 2, 4, 3, (7, 7), padding=3, dilation=3),
    _conv("dilation-rectangular", 3, 3, 3, (6, 6), padding=(1, 2), dilation=(1, 2)),
    _conv("dilation-stride", 3, 12, 3, (6, 8), padding=2, dilation=2, stride=2),
    _conv("dilation3-stride2", 4, 4, 2, (6, 8), padding=1, dilation=3, stride=2, full_circle=False),
    _conv("rectangular", 4, 4, (1, 3), (5, 6), padding=(0, 1)),
    _conv("rectangular-even", 3, 4, (3, 2), (5, 5), padding="same"),
    _conv("no-bias", 4, 4, 3, (3, 5), padding=1, bias=False),
    _conv("valid", 4, 4, 3, (5, 6), padding="valid", full_circle=False),
    _conv("reach-not-covered", 4, 4, 5, (6, 6), padding=1, full_circle=False),
)

ZERO_CONVS = (
    _conv("zeros", 4, 4, 3, (4, 5), padding=1),
    _conv("zeros-same-even", 4, 4, 2, (4, 5), padding="same"),
    _conv("zeros-wide-margin", 4, 4, 3, (4, 4), padding=4),
    _conv("zeros-stride", 3, 8, 3, (5, 7), padding=1, stride=2),
    _conv("zeros-dilation", 4, 4, 3, (5, 5), padding=2, dilation=2),
)

SMALL_IMAGES = (
    _conv("k5-on-3x3", 4, 4, 5, (3, 3), padding=2),
    _conv("k5-on-2x3", 4, 4, 5, (2, 3), padding=2),
    _conv("k5-on-1x1", 4, 4, 5, (1, 1), padding=2),
    _conv("k4-same-on-2x2", 3, 5, 4, (2, 2), padding="same"),
    _conv("stride2-k4-on-2x2", 2, 8, 4, (2, 2), padding=1, stride=2),
    _conv("stride2-on-odd-image", 3, 8, 3, (5, 7), padding=1, stride=2, full_circle=False),
    _conv("too-small-unpadded", 4, 4, 5, (3, 3), full_circle=False),
    _conv("dilation-on-3x3", 4, 4, 3, (3, 3), padding=2, dilation=2),
)

CORE_TRANSPOSED = (
    _conv("k3", 4, 4, 3, (4, 5), padding=1),
    _conv("narrow", 6, 3, 3, (4, 4), padding=1),
    _conv("groups", 4, 4, 3, (4, 4), padding=1, groups=2),
    _conv("stride-is-kernel", 8, 2, 2, (3, 4), stride=2),
)

GRID_TRANSPOSED = (
    _conv("k1", 4, 4, 1, (4, 5)),
    _conv("k2", 4, 4, 2, (4, 5), full_circle=False),
    _conv("widen", 3, 6, 3, (4, 4), padding=1),
    _conv("k5", 3, 3, 5, (5, 5), padding=2),
    _conv("one-channel", 1, 1, 3, (4, 5), padding=1),
    _conv("groups-of-one-channel", 4, 4, 3, (4, 4), padding=1, groups=4),
    _conv("stride-is-kernel-widen", 3, 4, 2, (3, 3), stride=2),
    _conv("stride2-k3", 8, 2, 3, (3, 4), padding=1, stride=2),
    _conv("stride2-k4", 8, 2, 4, (3, 4), padding=1, stride=2),
    _conv("stride2-k4-widen", 2, 4, 4, (3, 3), padding=1, stride=2),
    _conv("stride3-k5", 9, 1, 5, (3, 3), padding=2, stride=3),
    _conv("dilation", 4, 4, 3, (5, 6), padding=2, dilation=2),
    _conv("rectangular", 4, 4, (1, 3), (4, 5), padding=(0, 1)),
    _conv("no-bias", 4, 4, 3, (4, 4), padding=1, bias=False),
)

ZERO_TRANSPOSED = (
    _conv("zeros", 4, 4, 3, (4, 5), padding=1),
    _conv("zeros-uncropped", 4, 4, 3, (4, 4)),
    _conv("zeros-stride", 8, 2, 3, (3, 4), padding=1, stride=2),
    _conv("zeros-output-padding", 8, 2, 3, (3, 4), padding=1, stride=2, output_padding=1),
)

CORE_LINES = (
    _conv("k3", 4, 4, 3, (7,), padding=1),
    _conv("widen", 3, 6, 3, (6,), padding=1),
    _conv("groups", 4, 4, 3, (7,), padding=1, groups=2),
    _conv("stride2-k3", 4, 8, 3, (8,), padding=1, stride=2),
)

GRID_LINES = (
    _conv("k1", 4, 4, 1, (5,)),
    _conv("k2-same", 4, 4, 2, (5,), padding="same"),
    _conv("k5", 3, 3, 5, (9,), padding=2),
    _conv("narrow", 6, 3, 3, (6,), padding=1),
    _conv("one-channel", 1, 1, 3, (7,), padding=1),
    _conv("groups-widen", 4, 8, 3, (6,), padding=1, groups=2),
    _conv("groups-of-one-channel", 4, 4, 3, (5,), padding=1, groups=4),
    _conv("stride-is-kernel", 2, 4, 2, (8,), stride=2),
    _conv("stride2-k4-narrow", 6, 2, 4, (6,), padding=1, stride=2),
    _conv("stride-beyond-kernel", 4, 4, 1, (4,), stride=2, full_circle=False),
    _conv("dilation-stride", 3, 6, 3, (8,), padding=3, dilation=3, stride=2),
    _conv("valid", 4, 4, 3, (6,), padding="valid", full_circle=False),
)

ZERO_LINES = (
    _conv("zeros", 4, 4, 3, (6,), padding=1),
    _conv("zeros-stride", 3, 6, 3, (7,), padding=1, stride=2),
)

SMALL_LINES = (
    _conv("k5-on-3", 4, 4, 5, (3,), padding=2),
    _conv("k5-on-1", 4, 4, 5, (1,), padding=2),
    _conv("stride2-on-odd", 3, 6, 3, (5,), padding=1, stride=2, full_circle=False),
)


def _linear(label: str, fin: int, fout: int, *shape: int, **options: Any) -> dict[str, Any]:
    return {"label": label, "arguments": (fin, fout), "options": options, "shape": (*shape, fin)}


CORE_LINEAR = (_linear("square", 6, 6), _linear("widen", 4, 9), _linear("narrow", 9, 4))
GRID_LINEAR = (
    _linear("16", 16, 16),
    _linear("odd", 7, 7),
    _linear("one-to-one", 1, 1),
    _linear("one-to-many", 1, 5),
    _linear("many-to-one", 5, 1),
    _linear("very-wide", 3, 24),
    _linear("sequence", 4, 4, 3),
    _linear("no-bias", 6, 6, bias=False),
)


def _channels(label: str, channels: int, *rest: int) -> dict[str, Any]:
    return {"label": label, "arguments": (channels,), "shape": (channels, *rest)}


CORE_ACTIVATIONS = (_channels("image", 4, 3, 2), _channels("vector", 8))
GRID_ACTIVATIONS = (
    _channels("two", 2),
    _channels("six", 6, 2, 2),
    _channels("one", 1, 2, 2),
    _channels("odd", 5),
    _channels("sequence", 4, 5),
)

# Values for the required arguments of pooling layers, by their torch-like names.
POOL_ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "kernel_size": (2, 3, (1, 2)),
    "downscale_factor": (2, 3, (1, 2)),
    "upscale_factor": (2, 3, (1, 2)),
    "factor": (2, 3, (1, 2)),
    "output_size": (1, 2, (2, 1)),
}


def _pool_specs(record: LayerRecord) -> list[dict[str, Any]]:
    parameters = inspect.signature(record.factory).parameters.values()
    required = [p.name for p in parameters if p.default is p.empty]
    assert all(name in POOL_ARGUMENTS for name in required), f"no values are listed for {required} of {record.name}"
    specs = []
    # The channels are a multiple of the window's area, as up-sampling needs.
    for index, channels in enumerate((4, 9, 2)):
        values = tuple(POOL_ARGUMENTS[name][index] for name in required)
        specs.append({"label": "x".join(map(str, values)) or "default", "arguments": values, "shape": (channels, 6, 6)})
    return specs if required else specs[:1]


def _specs(record: LayerRecord, core: bool) -> list[dict[str, Any]]:
    if record.kind == "conv2d":
        return _with_padding(record, CORE_CONVS if core else GRID_CONVS, ZERO_CONVS, core)
    if record.kind == "conv1d":
        return _with_padding(record, CORE_LINES if core else GRID_LINES, ZERO_LINES, core)
    if record.kind == "conv_transpose2d":
        return _with_padding(record, CORE_TRANSPOSED if core else GRID_TRANSPOSED, ZERO_TRANSPOSED, core)
    if record.kind == "linear":
        return list(CORE_LINEAR if core else GRID_LINEAR)
    if record.kind in ("activation", "normalization"):
        return list(CORE_ACTIVATIONS if core else GRID_ACTIVATIONS)
    return _pool_specs(record)[:1] if core else _pool_specs(record)[1:]


def _with_padding(
    record: LayerRecord, specs: tuple[dict[str, Any], ...], zeros: tuple[dict[str, Any], ...], core: bool
) -> list[dict[str, Any]]:
    mode = "circular" if "circular" in record.paddings else record.paddings[0]
    found = [{**s, "options": {**s["options"], "padding_mode": mode}} for s in specs]
    if mode != "circular":
        found = [{**s, "full_circle": False} for s in found]
    if not core and "zeros" in record.paddings:
        found += [{**s, "options": {**s["options"], "padding_mode": "zeros"}, "full_circle": False} for s in zeros]
    return found


def _adapt(record: LayerRecord, spec: dict[str, Any]) -> dict[str, Any]:
    # Core cases are never refused, so those of a record that cannot widen or stride keep its channels and size.
    if not spec["arguments"] or record.kind in ("activation", "normalization", "pool"):
        return spec
    first, second, *rest = spec["arguments"]
    options = dict(spec.get("options", {}))
    if not record.strides:
        options.pop("stride", None)
    if record.square:
        shape = (first, *spec["shape"][1:]) if record.kind != "linear" else spec["shape"]
        return {**spec, "arguments": (first, first, *rest), "options": options, "shape": shape}
    return {**spec, "arguments": (first, second, *rest), "options": options}


_CORE: dict[tuple[int, torch.dtype], list[Case]] = {}


def core_cases(record: LayerRecord, dtype: torch.dtype = torch.float32) -> list[Case]:
    """A few cases, the first of which every record must be able to build; the same objects at every call."""
    key = (id(record), dtype)
    if key not in _CORE:
        _CORE[key] = [Case(record=record, dtype=dtype, **_adapt(record, s)) for s in _specs(record, core=True)]
    return list(_CORE[key])


def grid_cases(record: LayerRecord, dtype: torch.dtype = torch.float32) -> list[Case]:
    """The rest of the grid, including combinations that the record may refuse."""
    return [Case(record=record, dtype=dtype, **s) for s in _specs(record, core=False)]


def small_image_cases(record: LayerRecord, dtype: torch.dtype = torch.float32) -> list[Case]:
    """Convolutions on images smaller than the kernel, or that the stride does not divide."""
    specs = {"conv1d": SMALL_LINES, "conv2d": SMALL_IMAGES}.get(record.kind, ())
    cases = (
        [Case(record=record, dtype=dtype, **s) for s in _with_padding(record, specs, (), core=True)] if specs else []
    )
    return [case for case in cases if refusal(case) is None]


def first_case(record: LayerRecord, dtype: torch.dtype = torch.float32) -> Case:
    """The plainest case of a record."""
    return core_cases(record, dtype)[0]


_REFUSALS: dict[tuple[int, str], str | None] = {}


def refusal(case: Case) -> str | None:
    """Try to build a case.

    Returns:
        None if it can be built (or fails with something other than ValueError, which is for a test to report), else
        the text of the ValueError.
    """
    key = (id(case.record), case.label)
    if key not in _REFUSALS:
        try:
            case.build()
        except ValueError as error:
            _REFUSALS[key] = str(error)
        except Exception:
            _REFUSALS[key] = None
        else:
            _REFUSALS[key] = None
    return _REFUSALS[key]


@functools.cache
def all_records() -> tuple[LayerRecord, ...]:
    """Every registered layer."""
    return layers.records()


def buildable(cases: list[Case]) -> list[Case]:
    """Leave out the cases that the layer refuses."""
    return [case for case in cases if refusal(case) is None]
