"""Tables of FastClip: accuracy, attacks and norms of methods of clipping, with and without batch normalisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from onelip.experiments.collection import RunRow
from onelip.experiments.tables.grid import PERCENT, Goal, Slot, Spec, Unit, having
from onelip.experiments.tables.templates.template import Inputs, Template

PAPER = "FastClip (arXiv:2402.16017)"

_NETWORKS = (("mnist", "resnet18"), ("mnist", "dla"), ("cifar10", "resnet18"), ("cifar10", "dla"))
_SMALL = ("digits", "resnet18")
_METHODS = {
    "none": "none",
    "fastclip": "FastClip",
    "gouk": "Gouk et al.",
    "miyato": "Miyato et al.",
    "senderovich": "Senderovich et al.",
    "delattre": "Delattre et al.",
}
_MODES: Mapping[str, Mapping[str, object]] = {
    "noBN": {"batch_norm": 0},
    "wBN": {"batch_norm": (None, 1), "clipped_norms": "keep"},
    "clipBN": {"batch_norm": (None, 1), "clipped_norms": "clip"},
    "joint": {"batch_norm": (None, 1), "clipped_norms": "joint"},
}
_NO_NUMBERS = (
    "The paper's numbers are not in its repository, and none are shown; its attacks are not in units of pixels."
)

Measure = tuple[str, str, Unit, Goal]

_ACCURACY: Sequence[Measure] = (("accuracy", "clean_accuracy", PERCENT, "max"),)
_ATTACKS: Sequence[Measure] = (
    ("PGD, l_inf 0.02", "attacked-pgd-linf@0.02", PERCENT, "max"),
    ("CW", "never_changed-cw-l2", PERCENT, "max"),
)
_NORMS: Sequence[Measure] = (
    ("largest norm", "largest_singular_value", Unit("", 1.0, 4), "near-1"),
    ("largest at checks", "largest_norm_at_checks", Unit("", 1.0, 4), "near-1"),
)


def _build(title: str, measures: Sequence[Measure], note: str, inputs: Inputs) -> Sequence[Spec]:
    networks = [*_NETWORKS, *([_SMALL] if any(_is_small(run) for run in inputs.runs) else [])]
    rows = [(data, model, method) for data, model in networks for method in _METHODS]
    columns = [(measure, mode) for measure in measures for mode in _MODES]
    slots: dict[tuple[int, int], Slot | str] = {}
    for r, (data, model, method) in enumerate(rows):
        for c, ((name, value, unit, goal), mode) in enumerate(columns):
            if not _shipped(method, mode):
                continue
            matches = having(data=data, model=model, layer="plain", clipping=method, **_MODES[mode])
            prefix = "digits" if data == "digits" else f"{data}-{model}"
            needs = f"clipping-{prefix}-{method}-{mode.lower()}"
            slots[r, c] = Slot(value, matches, unit, goal, f"{data} {model} {c}", needs, detail=name)
    return [
        Spec(
            f"{PAPER}: {title}",
            ("data", "network", "clipping"),
            [(data, model, _METHODS[method]) for data, model, method in rows],
            [(name, mode) for (name, *_), mode in columns],
            slots,
            [note, _NO_NUMBERS] if note else [_NO_NUMBERS],
        )
    ]


def _is_small(run: RunRow) -> bool:
    return having(data=_SMALL[0], model=_SMALL[1], clipping=tuple(_METHODS))(run)


def _shipped(method: str, mode: str) -> bool:
    return (mode != "joint" or method == "fastclip") and (mode != "clipBN" or method != "none")


def _template(name: str, summary: str, title: str, measures: Sequence[Measure], note: str = "") -> Template:
    return Template(f"fastclip-{name}", summary, PAPER, ("clipping-*",), partial(_build, title, measures, note))


TEMPLATES = (
    _template(
        "accuracy",
        "accuracy of six methods of clipping, with batch normalisations absent, kept, clipped or joined",
        "accuracy, percent",
        _ACCURACY,
    ),
    _template(
        "attack",
        "accuracy under PGD and CW of the methods and modes of fastclip-accuracy",
        "accuracy under attack, percent",
        _ATTACKS,
        "CW: the share of images for which onelip attack RUN --attack cw --norm l2 found no adversarial point.",
    ),
    _template(
        "norms",
        "largest norms of layers, of the methods and modes of fastclip-accuracy",
        "norms of layers; the target is 1",
        _NORMS,
        "Estimates over all affine parts, batch normalisations included. The best is the nearest to 1.",
    ),
)
