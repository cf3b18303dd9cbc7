"""Tables of LConvNet, the BCOP paper: accuracy, certified accuracy and attacks of classifiers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from onelip.experiments.collection import RunRow
from onelip.experiments.evaluation import radius_key
from onelip.experiments.tables.attack_file import clean_on_attacked
from onelip.experiments.tables.grid import PERCENT, Labels, Slot, Spec, having
from onelip.experiments.tables.published import published
from onelip.experiments.tables.templates.template import Inputs, Template

PAPER = "LConvNet (arXiv:1911.00937)"
STATED = (
    "means and population deviations over five seeds, from the paper's repository; weights were chosen on test images"
)

DATA = {"mnist": "MNIST", "cifar10": "CIFAR-10"}
RADII = {"mnist": ("1.58", 1.58), "cifar10": ("36/255", 36 / 255)}
SMALL_RADII = {"mnist": ("0.3", 0.3), "cifar10": ("0.1", 0.1)}

METHODS: Mapping[str, Mapping[str, object]] = {
    "ossn": {"layer": "ossn"},
    "rko": {"layer": "rko"},
    "svcm": {"layer": "svcm"},
    "bcop": {"layer": "bcop", "frozen": (None, 0)},
    "bcop-fixed": {"layer": "bcop", "frozen": 1},
    "rk-l2ne": {"layer": "rk-l2ne"},
}
TITLES = {"bcop-fixed": "BCOP-Fixed", "rk-l2ne": "RK-L2NE"}


@dataclass(frozen=True)
class Network:
    """A column: one network.

    Attributes:
        title: What stands above it.
        config: Its configuration, without family and data set; empty if none is shipped.
        where: What the configuration of its runs says.
        key: Network and method of the published numbers.
        proved: Begin of the name of its certified accuracies.
        stated: Begin of the measures that are published of it.
    """

    title: str
    config: str
    where: Mapping[str, object]
    key: tuple[str, str]
    proved: str = "certified"
    stated: str = ""


def network(size: str, method: str) -> Network:
    """Describe one of the paper's own networks.

    Args:
        size: "small" or "large".
        method: A key of `METHODS`.

    Returns:
        The column.
    """
    where = {"model": f"lconvnet-{size}", "loss": "certified-multi-margin", "activation": "maxmin", **METHODS[method]}
    return Network(TITLES.get(method, method.upper()), f"{size}-{method}", where, (size, method))


def _titled(size: str, method: str) -> Network:
    one = network(size, method)
    return Network(f"{one.title}-{size.capitalize()}", one.config, one.where, one.key)


FC_3 = Network(
    "FC-3",
    "fc-3",
    {"model": "fc-3", "loss": "certified-multi-margin", "activation": "maxmin", "layer": "bjorck"},
    ("fc-3", "bjorck"),
)


def _kw(size: str, stated: str = "") -> Network:
    where = {"model": f"kw-{size}", "layer": "plain"}
    return Network(f"KW-{size.capitalize()}", f"kw-{size}", where, (size, "kw"), "relaxed", stated)


KW_RESNET = Network("KW-Resnet", "", {}, ("resnet", "kw"), stated="stated-")
QW_3 = Network("QW-3", "l2nnn", {"model": "l2nnn", "layer": "rk-l2ne", "adversarial": None}, ("qw-3", "qw"))
QW_4 = Network("QW-4", "", {}, ("qw-4", "qw"))


@dataclass(frozen=True)
class Measure:
    """A row: one number of networks at a radius.

    Attributes:
        title: What stands beside it.
        name: Of the published numbers.
        value: Name of a run's number, or what computes it, from the radius and the begin of certified accuracies.
    """

    title: str
    name: str
    value: Callable[[str, str], str | Callable[[RunRow], float | None]]


CLEAN = Measure("clean", "accuracy", lambda radius, proved: "accuracy")
ROBUST = Measure("certified", "certified", lambda radius, proved: f"{proved}@{radius}")
SMALL = Measure("certified", "certified-small", lambda radius, proved: f"{proved}@{radius}")
PGD = Measure("PGD", "pgd", lambda radius, proved: f"attacked-pgd-l2@{radius}")
FGSM = Measure("FGSM", "fgsm", lambda radius, proved: f"attacked-fgsm-l2@{radius}")
FEW_CLEAN = Measure("clean, few images", "clean-100", lambda radius, proved: clean_on_attacked("boundary", "l2"))
BOUNDARY = Measure("boundary attack", "boundary", lambda radius, proved: f"attacked-boundary-l2@{radius}")
POINTWISE = Measure("pointwise attack", "pointwise", lambda radius, proved: f"attacked-pointwise-l2@{radius}")


def _rows(
    data: Sequence[str], sizes: Sequence[str], measures: Sequence[Measure], radii: Mapping[str, tuple[str, float]]
) -> Iterator[tuple[str, str, Measure, Labels]]:
    for name in data:
        for size in sizes:
            for measure in measures:
                at = f"{DATA[name]} at {radii[name][0]}"
                yield name, size, measure, (at, size.capitalize(), measure.title) if size else (at, measure.title)


def _spec(
    title: str,
    columns: Callable[[str], Sequence[Network]],
    measures: Sequence[Measure],
    *,
    data: Sequence[str] = tuple(DATA),
    sizes: Sequence[str] = ("",),
    radii: Mapping[str, tuple[str, float]] = RADII,
    notes: Sequence[str] = (),
) -> Spec:
    rows, labels = [*_rows(data, sizes, measures, radii)], list[Labels]()
    slots: dict[tuple[int, int], Slot | str] = {}
    for r, (name, size, measure, label) in enumerate(rows):
        labels.append(label)
        for c, one in enumerate(columns(size)):
            slots[r, c] = _slot(one, name, measure, radius_key(radii[name][1]), str(r))
    titles = [(one.title,) for one in columns(sizes[0])]
    corner = ("data", "network", "percent") if sizes != ("",) else ("data", "percent")
    return Spec(f"{PAPER}, {title}", corner, labels, titles, slots, notes, STATED)


def _slot(one: Network, data: str, measure: Measure, radius: str, group: str) -> Slot:
    stated = published(
        "lconvnet", data=data, network=one.key[0], method=one.key[1], measure=f"{one.stated}{measure.name}"
    )
    if not one.config:
        # There is nothing to run; the column is that of the paper.
        return Slot(unit=PERCENT, group=group, published=stated, absent=True)
    where = having(data=data, **one.where)
    needs, value = f"lconvnet-{data}-{one.config}", measure.value(radius, one.proved)
    return Slot(value, where, PERCENT, "max", group, needs, stated, detail=measure.title)


def _methods(*names: str) -> Callable[[str], Sequence[Network]]:
    return lambda size: [network(size, name) for name in names]


def _table_1(inputs: Inputs) -> Sequence[Spec]:
    title = "table 1: clean and certified accuracy of 1-Lipschitz convolutional networks"
    return [_spec(title, _methods("ossn", "rko", "svcm", "bcop"), (CLEAN, ROBUST), sizes=("small", "large"))]


def _table_2(inputs: Inputs) -> Sequence[Spec]:
    columns = [_titled("large", "bcop"), FC_3, _kw("large", "stated-"), KW_RESNET]
    notes = ["Certified accuracies of KW are proved by linear relaxation."]
    return [_spec("table 2: against provable defences", lambda size: columns, (CLEAN, ROBUST), notes=notes)]


def _table_3(inputs: Inputs) -> Sequence[Spec]:
    measures = (CLEAN, PGD, FGSM, FEW_CLEAN, BOUNDARY, POINTWISE)
    notes = [
        "Few images are those of the boundary attack; attacks: onelip attack RUN --attack NAME --norm l2 --eps 36/255."
    ]
    spec = _spec("table 3: attacks", _kw_and_bcop, measures, data=("cifar10",), sizes=("small", "large"), notes=notes)
    return [replace(spec, columns=[("KW",), ("BCOP",)])]


def _kw_and_bcop(size: str) -> Sequence[Network]:
    return [_kw(size), network(size, "bcop")]


def _table_7(inputs: Inputs) -> Sequence[Spec]:
    title = "table 7: networks that do not keep gradient norms, or do not learn"
    return [_spec(title, _methods("bcop-fixed", "rk-l2ne", "bcop"), (CLEAN, ROBUST), sizes=("small", "large"))]


def _table_8(inputs: Inputs) -> Sequence[Spec]:
    columns = [_titled("large", "bcop"), FC_3]
    return [_spec("table 8: small radii", lambda size: columns, (SMALL,), radii=SMALL_RADII)]


def _table_9(inputs: Inputs) -> Sequence[Spec]:
    columns, measures = [_titled("large", "bcop"), FC_3, QW_3, QW_4], (CLEAN, ROBUST, PGD, FGSM)
    return [_spec("table 9: against L2-nonexpansive networks", lambda size: columns, measures)]


TEMPLATES = (
    Template(
        "lconvnet-1",
        "clean and certified accuracy: OSSN, RKO, SVCM and BCOP, small and large, MNIST and CIFAR-10",
        PAPER,
        ("lconvnet-*-ossn", "lconvnet-*-rko", "lconvnet-*-svcm", "lconvnet-*-bcop"),
        _table_1,
    ),
    Template(
        "lconvnet-2",
        "clean and certified accuracy of BCOP, dense layers and the networks of Wong et al.",
        PAPER,
        ("lconvnet-*-large-bcop", "lconvnet-*-fc-3", "lconvnet-*-kw-large"),
        _table_2,
    ),
    Template(
        "lconvnet-3",
        "attacks on BCOP and on the networks of Wong et al., CIFAR-10",
        PAPER,
        ("lconvnet-cifar10-*-bcop", "lconvnet-cifar10-kw-*"),
        _table_3,
    ),
    Template(
        "lconvnet-7",
        "clean and certified accuracy: BCOP-Fixed, RK-L2NE and BCOP",
        PAPER,
        ("lconvnet-*-bcop-fixed", "lconvnet-*-rk-l2ne", "lconvnet-*-bcop"),
        _table_7,
    ),
    Template(
        "lconvnet-8",
        "certified accuracy at 0.3 (MNIST) and 0.1 (CIFAR-10)",
        PAPER,
        ("lconvnet-*-large-bcop", "lconvnet-*-fc-3"),
        _table_8,
    ),
    Template(
        "lconvnet-9",
        "BCOP, dense layers and the networks of Qian and Wegman: certified and attacked",
        PAPER,
        ("lconvnet-*-large-bcop", "lconvnet-*-fc-3", "lconvnet-*-l2nnn"),
        _table_9,
    ),
)
