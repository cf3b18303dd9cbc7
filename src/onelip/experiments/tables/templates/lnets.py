"""Tables of LNets: Wasserstein distances, classifiers on MNIST and on a small part of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from onelip.experiments.collection import RunRow
from onelip.experiments.tables.grid import PERCENT, Goal, Slot, Spec, Unit, having
from onelip.experiments.tables.templates.template import Inputs, Template

PAPER = "LNets (arXiv:1811.05381)"
_NO_NUMBERS = "The repository states no results, so none are shown."

_DISTANCES = {
    "wasserstein-absolute-value": ("absolute value", "1 shell in 1-D"),
    "wasserstein-cones": ("three cones", "3 shells in 2-D"),
    "wasserstein-high-dim-cone": ("high-dimensional cone", "1 shell in 128-D"),
}
_CRITICS = (("polar-express", "maxmin"), ("polar-express", "fullsort"))

_BASE: dict[str, object] = {
    "layer": "plain", "activation": "relu", "loss": "cross-entropy", "projection": None, "adversarial": None,
    "jacobian": None, "dropout": (None, 0.0), "weight_decay": (None, 0.0),
}  # fmt: skip
_CLASSIFIERS: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "standard": ("standard", {}),
    "weight-decay": ("weight decay", {"weight_decay": 1e-4}),
    "dropout": ("dropout", {"dropout": 0.5}),
    "spectral-jacobian": ("Jacobian's norm", {"jacobian": "spectral"}),
    "spectral-norm": ("spectral norm", {"layer": "spectral-norm"}),
    "parseval": ("Parseval", {"projection": "l2"}),
    "bjorck": ("Bjorck", {"layer": "bjorck"}),
    "pgd": ("PGD training", {"adversarial": "pgd"}),
    "l-inf": ("L-infinity", {"layer": "l-infinity"}),
    "l-inf-margin": (
        "L-infinity, margin",
        {"projection": "l-infinity", "activation": "maxmin", "loss": "multi-margin"},
    ),
}
_L_INFINITY = ("l-inf", "l-inf-margin")
_ATTACKED_LINF = (*_L_INFINITY, "pgd")


def _distances(inputs: Inputs) -> Sequence[Spec]:
    critics = [*_CRITICS, *_other_critics(inputs.runs)]
    slots: dict[tuple[int, int], Slot | str] = {}
    for r, (config, (_, data)) in enumerate(_DISTANCES.items()):
        exact = Slot("exact", _shells(data), Unit("l2", 1.0, 4), "", "", config, detail="exact", mixed=True)
        slots[r, len(critics)] = exact
        for c, (layer, activation) in enumerate(critics):
            matches = _shells(data, layer=layer, activation=activation)
            needs = f"{config} layer={layer} activation={activation}"
            slots[r, c] = Slot("lower_bound", matches, Unit("l2", 1.0, 4), "max", str(r), needs)
    return [
        Spec(
            f"{PAPER}: lower bounds of Wasserstein distances",
            ("distance",),
            [(title,) for title, _ in _DISTANCES.values()],
            [*critics, ("exact", "")],
            slots,
            ["Columns are the layer and the activation of the critic.", _NO_NUMBERS],
        )
    ]


def _shells(data: str, **critic: object) -> Callable[[RunRow], bool]:
    return having("wasserstein", data=data, p="shells", q="shells", **critic)


def _other_critics(runs: Sequence[RunRow]) -> list[tuple[str, str]]:
    known = [_shells(data) for _, data in _DISTANCES.values()]
    found = {
        (str(run.configured.get("layer", "")), str(run.configured.get("activation", "")))
        for run in runs
        if any(matches(run) for matches in known)
    }
    return sorted(found - set(_CRITICS))


def _classification(inputs: Inputs) -> Sequence[Spec]:
    columns: list[tuple[str, str, Goal]] = [("accuracy", "accuracy", "max"), ("constant", "lipschitz_bound", "")]
    columns += [(f"certified {r}, l2", f"certified@{r}", "max") for r in ("0.1", "0.3", "1", "1.58")]
    columns += [(f"certified {r}, l_inf", f"certified@{r}", "max") for r in ("0.01", "0.05", "0.1")]
    columns += [(f"PGD {r}, l2", f"attacked-pgd-l2@{r}", "max") for r in ("0.1", "0.3", "1", "1.58")]
    columns += [(f"PGD {r}, l_inf", f"attacked-pgd-linf@{r}", "max") for r in ("0.01", "0.05", "0.1")]
    slots: dict[tuple[int, int], Slot | str] = {}
    for r, (name, (_, where)) in enumerate(_CLASSIFIERS.items()):
        matches = having(data="mnist", model="fc-3", **{**_BASE, **where})
        for c, (title, value, goal) in enumerate(columns):
            if _applies(name, title):
                unit = Unit("", 1.0, None) if value == "lipschitz_bound" else PERCENT
                slots[r, c] = Slot(value, matches, unit, goal, str(c), f"lnets-mnist-{name}", detail=title)
    rows, titles = [(title,) for title, _ in _CLASSIFIERS.values()], [(title,) for title, *_ in columns]
    title = f"{PAPER}: MNIST, three layers of 1,024, percent"
    return [Spec(title, ("method",), rows, titles, slots, [_NO_NUMBERS])]


# Networks are certified in the norm of their layers, and attacked in that which they are trained against.
def _applies(name: str, title: str) -> bool:
    if title.startswith("certified"):
        return title.endswith("l_inf") == (name in _L_INFINITY)
    if title.startswith("PGD"):
        return title.endswith("l_inf") == (name in _ATTACKED_LINF)
    return True


def _small_mnist(inputs: Inputs) -> Sequence[Spec]:
    own = having(data="mnist", model="lenet")
    found = {_small_key(run) for run in inputs.runs if own(run) and "per_class" in run.configured}
    keys = sorted(found | {("rko", "relu", 100), ("plain", "relu", 30)}, key=lambda key: (key[2], *key[:2]))
    columns = [("accuracy", "accuracy")]
    columns += [(f"certified {r}", f"certified@{r}") for r in ("0.1", "0.3")]
    columns += [(f"PGD {r}", f"attacked-pgd-l2@{r}") for r in ("0.1", "0.3")]
    shipped = {("rko", 100): "lnets-small-mnist-lenet-bjorck", ("plain", 30): "lnets-small-mnist-lenet-standard"}
    slots: dict[tuple[int, int], Slot | str] = {}
    for r, (layer, activation, count) in enumerate(keys):
        matches = having(data="mnist", model="lenet", layer=layer, activation=activation, per_class=count)
        for c, (title, value) in enumerate(columns):
            needs = shipped.get((layer, count), f"LeNet of {layer} with {count} images of a class")
            slots[r, c] = Slot(value, matches, PERCENT, "max", f"{count} {c}", needs, detail=title)
    rows = [(str(count), "Bjorck" if layer == "rko" else layer, activation) for layer, activation, count in keys]
    title = f"{PAPER}: LeNet on a part of MNIST, l2, percent"
    corner = ("images of a class", "layer", "activation")
    return [Spec(title, corner, rows, [(name,) for name, _ in columns], slots, [_NO_NUMBERS])]


def _small_key(run: RunRow) -> tuple[str, str, int]:
    one = run.configured
    return str(one.get("layer", "")), str(one.get("activation", "")), int(one["per_class"])


TEMPLATES = (
    Template(
        "lnets-w1",
        "lower bounds of three Wasserstein distances of 1, by layer and activation of the critic",
        PAPER,
        tuple(_DISTANCES),
        _distances,
    ),
    Template(
        "lnets-classification",
        "MNIST: accuracy, certified accuracy and PGD of ten ways to train",
        PAPER,
        ("lnets-mnist-*",),
        _classification,
    ),
    Template(
        "lnets-small-mnist",
        "LeNet on a few images of each class: accuracy, certified accuracy and PGD",
        PAPER,
        ("lnets-small-mnist-*",),
        _small_mnist,
    ),
)
