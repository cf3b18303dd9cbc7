"""The results of Orthogonium's tutorial on CIFAR-10."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from onelip.experiments.evaluation import radius_key
from onelip.experiments.tables.grid import PERCENT, Slot, Spec, having
from onelip.experiments.tables.published import published
from onelip.experiments.tables.templates.template import Inputs, Template

PAPER = "Orthogonium (deel-ai/orthogonium)"

_RECIPES: Mapping[str, Mapping[str, object]] = {
    "nonrobust": {"loss": "cosine"},
    "mild": {"loss": "offset-cross-entropy", "margin": 0.19966},
    "robust": {"loss": "offset-cross-entropy", "margin": 0.39931},
}
_MEASURES = {"accuracy": "accuracy", "certified": f"certified@{radius_key(36 / 255)}"}


def _build(inputs: Inputs) -> Sequence[Spec]:
    slots: dict[tuple[int, int], Slot | str] = {}
    for r, (recipe, where) in enumerate(_RECIPES.items()):
        for c, (measure, value) in enumerate(_MEASURES.items()):
            matches = having(data="cifar10", model="patchnet", **where)
            stated = published("orthogonium", recipe=recipe, measure=measure)
            needs = f"orthogonium-cifar10-{recipe}"
            slots[r, c] = Slot(value, matches, PERCENT, "max", measure, needs, stated, detail=measure)
    return [
        Spec(
            f"{PAPER}: CIFAR-10, percent",
            ("recipe",),
            [(name,) for name in _RECIPES],
            [("accuracy",), ("certified at 36/255",)],
            slots,
            published="one run on an RTX 3080, from the tutorial's notebook; certified with the constant taken as 1",
        )
    ]


TEMPLATES = (
    Template(
        "orthogonium-cifar10",
        "accuracy and certified accuracy at 36/255 of three recipes",
        PAPER,
        ("orthogonium-cifar10-*",),
        _build,
    ),
)
