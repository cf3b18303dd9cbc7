"""Write the configurations of the BCOP paper's classifiers: data sets x networks x methods, from published numbers.

usage: python -m tools.lconvnet_configs            lists them
       python -m tools.lconvnet_configs --write    writes them

The package has the means over five seeds of the results that the paper's repository publishes, in
experiments/tables/published.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.written_configs import write_configs

from onelip.experiments.tables.published import records

TABLE = "lconvnet"
FOLDER = Path(__file__).parents[1] / "src" / "onelip" / "configs" / "lconvnet"

_MEASURES = ("accuracy", "certified", "pgd", "fgsm")

FAMILY = "lconvnet"
PAPER = "arXiv:1911.00937"
FIRST = ("cifar10", "small", "bcop")
"""The configuration that all others begin with."""


@dataclass(frozen=True)
class DataSet:
    """A data set of the paper.

    Attributes:
        title: The name in print.
        radius: Of the loss.
        certified: The l2 radius of the tables, in pixels of [0, 1].
        in_words: The same in words.
        radii: What is certified and attacked, as YAML.
        augment: Random changes, as YAML.
    """

    title: str
    radius: str
    certified: str
    in_words: str
    radii: str
    augment: str


DATA = {
    "cifar10": DataSet(
        "CIFAR-10", "0.5", "36/255", "36 over 255", "[0.1, 36/255, 72/255, 108/255]", "{crop: 4, flip: true}"
    ),
    "mnist": DataSet("MNIST", "1.5", "1.58", "1.58", "[0.3, 1.0, 1.58, 2.0]", "{crop: 0, flip: false}"),
}

METHODS = {
    "bcop": ("BCOP", {"layer": "bcop", "layer_options": "{square: true}"}),
    "bcop-fixed": (
        "BCOP whose convolutions stay as they are drawn",
        {"layer": "bcop", "layer_options": "{square: true, frozen: true}"},
    ),
    "ossn": ("OSSN", {"layer": "ossn"}),
    "rk-l2ne": ("RK-L2NE", {"layer": "rk-l2ne"}),
    "rko": ("RKO", {"layer": "rko"}),
    "svcm": ("SVCM", {"layer": "svcm"}),
    "bjorck": ("dense layers alone", {"layer": "bjorck"}),
}
"""Title of each method, and how its layers are made; dense layers are Bjorck's with all of them."""


@dataclass(frozen=True)
class Baseline:
    """A network that the paper compares its own with.

    Attributes:
        title: What it is.
        published: Its results, where they are stated, by data set.
        source: Its own paper.
        differs: What is not as published.
        keys: What differs from the paper's configuration, as YAML; `RADIUS` stands for that of the tables.
    """

    title: str
    published: dict[str, str]
    source: str
    differs: str
    keys: dict[str, str]


def _kw(model: str, published: dict[str, str]) -> Baseline:
    return Baseline(
        f"the {model} ReLU network of Wong et al., trained against a linear relaxation",
        published,
        "arXiv:1805.12514",
        "boxes bound the inputs of activations while it is trained, in place of random projections; there the\n"
        "#   released weights were measured. Proved by relaxation are 200 test images",
        {
            "model": f"kw-{model}",
            "layer": "plain",
            "linear": "plain",
            "activation": "relu",
            "loss": "cross-entropy",
            "relaxation": "{radius: {start: 0, end: RADIUS, from: 0.05, until: 0.5}, norm: l2, method: crown-ibp}",
            "certify": "{max_samples: 200, relaxation: crown-ibp}",
        },
    )


BASELINES = {
    "kw-small": _kw(
        "small",
        {
            "mnist": "87.73 clean, 59.38 under PGD at 1.58 (59.03 under FGSM), no certificate stated",
            "cifar10": "54.39 clean, 49.94 under PGD at 36 over 255 (49.98 under FGSM), no certificate stated",
        },
    ),
    "kw-large": _kw(
        "large",
        {
            "mnist": "88.12 clean, 44.53 certified at 1.58",
            "cifar10": "59.76 clean, 50.60 certified at 36 over 255",
        },
    ),
    "l2nnn": Baseline(
        "the L2-nonexpansive network of Qian and Wegman, each logit of constant 1",
        {
            "mnist": "98.65 clean, 42.13 certified at 1.58 (86.86 under PGD, 85.83 under FGSM)",
            "cifar10": "79.15 clean, 44.46 certified at 36 over 255 (72.07 under PGD, 72.11 under FGSM)",
        },
        "arXiv:1802.07896",
        "widths, since those of the released weights are not stated, and the loss, which is two of its three\n"
        "#   terms; there the released weights were measured",
        {
            "model": "{name: l2nnn}",
            "layer": "rk-l2ne",
            "linear": "rk-l2ne",
            "activation": "two-sided-relu",
            "loss": "{name: confidence-gap, scale: 6, gap_scale: 6}",
        },
    ),
}
"""Networks by the last part of their name."""

_SEPARATE = "{name: l2nnn, separate: true, widths: [32, 64, 64], pooled: [2, 3]}"
"""On CIFAR-10 no layer is shared by classes."""


@dataclass(frozen=True)
class Result:
    """A row of the table.

    Attributes:
        data: Name of the data set.
        network: "small", "large" or "fc-3".
        method: One of `METHODS`.
        accuracy: In percent, of clean test images.
        certified: At the radius of the data set, with the constant measured from the layers.
        pgd: Under PGD at this radius.
        fgsm: Under FGSM at this radius.
    """

    data: str
    network: str
    method: str
    accuracy: str
    certified: str
    pgd: str
    fgsm: str

    @property
    def key(self) -> tuple[str, str, str]:
        """Data set, network and method."""
        return self.data, self.network, self.method

    @property
    def name(self) -> str:
        """The name users type."""
        parts = (FAMILY, self.data, self.network) + ((self.method,) if self.network != "fc-3" else ())
        return "-".join(parts)


def results() -> list[Result]:
    """Read the table.

    Returns:
        Its rows.
    """
    found: dict[tuple[str, str, str], dict[str, str]] = {}
    for row in records(TABLE):
        if row["method"] in METHODS and row["measure"] in _MEASURES:
            found.setdefault((row["data"], row["network"], row["method"]), {})[row["measure"]] = row["value"]
    return [Result(*key, **numbers) for key, numbers in found.items()]


def configurations() -> Iterator[tuple[str, str]]:
    """Make the files.

    Yields:
        Name and YAML.
    """
    rows = results()
    first = next(r for r in rows if r.key == FIRST)
    for result in rows:
        yield result.name, _whole(result) if result is first else _changes(result, first)
    for data in DATA:
        for name, baseline in BASELINES.items():
            yield f"{FAMILY}-{data}-{name}", _baseline(data, name, baseline, first)


def _notes(result: Result) -> str:
    data, title = DATA[result.data], METHODS[result.method][0]
    return "\n".join(
        [
            f"# The BCOP paper, {data.title}, network {result.network}: {title}.",
            f"# Published: {result.accuracy} clean, {result.certified} certified at {data.in_words}"
            f" ({result.pgd} under PGD, {result.fgsm} under FGSM)",
            f"# Source: {PAPER}, results of five seeds in the repository ColinQiyangLi/LConvNet",
            "# GPU-hours: not published",
        ]
    )


def _whole(result: Result) -> str:
    data = DATA[result.data]
    return f"""{_notes(result)}
# Differs: the rate falls with each step instead of each epoch; weights are chosen on 5,000 images held out, not on the
#   test images; attacked are 1,000 test images
name: {result.name}
data:
  name: {result.data}
  batch_size: 128
  validation: 0.1
  normalize: none
  augment: {data.augment}
model: {_model(result)}
{_keys(METHODS[result.method][1])}
linear: bjorck
activation: maxmin
loss: {{name: certified-multi-margin, radius: {data.radius}}}
optimizer: {{name: adam, lr: 1e-3}}
schedule: {{name: exponential, end: 4.6416e-4}}    # 10^(-1/60) after each of 200 epochs
trainer: {{max_epochs: 200, validate_every: 4}}
certify: {{radii: {data.radii}, selection_radius: {data.certified}}}
attack: {{kind: pgd, radii: {data.radii}, steps: 200, step_size: 0.01, restarts: 1, random_start: true, samples: 1000}}
"""


def _changes(result: Result, first: Result) -> str:
    data, keys = DATA[result.data], dict(METHODS[result.method][1])
    if result.network != first.network:
        keys["model"] = _model(result)
    if result.data != first.data:
        keys |= {**_of_data(result.data), "loss": f"{{radius: {data.radius}}}"}
    return f"{_notes(result)}\nbase: {first.name}\nname: {result.name}\n{_keys(keys)}\n"


def _of_data(name: str) -> dict[str, str]:
    data = DATA[name]
    return {
        "data": f"{{name: {name}, augment: {data.augment}}}",
        "certify": f"{{radii: {data.radii}, selection_radius: {data.certified}}}",
        "attack": f"{{radii: {data.radii}}}",
    }


def _baseline(data: str, name: str, baseline: Baseline, first: Result) -> str:
    keys = {} if data == first.data else _of_data(data)
    for key, value in baseline.keys.items():
        own = value.replace("RADIUS", DATA[data].certified)
        # One mapping for each key.
        keys[key] = f"{keys[key][:-1]}, {own[1:]}" if key in keys else own
    if (name, data) == ("l2nnn", "cifar10"):
        keys["model"] = _SEPARATE
    notes = "\n".join(
        [
            f"# The BCOP paper's comparison, {DATA[data].title}: {baseline.title}.",
            f"# Published: {baseline.published[data]}",
            f"# Source: {PAPER} with the repository ColinQiyangLi/LConvNet; {baseline.source}",
            "# GPU-hours: not published",
            f"# Differs: {baseline.differs}",
        ]
    )
    return f"{notes}\nbase: {first.name}\nname: {FAMILY}-{data}-{name}\n{_keys(keys)}\n"


def _model(result: Result) -> str:
    return result.network if result.network == "fc-3" else f"{FAMILY}-{result.network}"


def _keys(keys: dict[str, str]) -> str:
    return "\n".join(f"{key}: {value}" for key, value in keys.items())


def main() -> None:
    """List the configurations, or write them and delete files of those that are no more."""
    if sys.argv[1:] not in ([], ["--write"]):
        sys.exit("usage: python -m tools.lconvnet_configs [--write]")
    texts = dict(configurations())
    if not sys.argv[1:]:
        print("\n".join(texts))
        return
    write_configs(FOLDER, texts)


if __name__ == "__main__":
    main()
