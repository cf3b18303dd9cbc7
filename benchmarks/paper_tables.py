"""Fill every table of the papers with small trainings, through the sweeps that would fill them with whole ones.

usage: python -m benchmarks.paper_tables RUNS --mnist FOLDER --cifar10 FOLDER [--workers 2] [--only PART ...]
                                         [--page FILE [--measurements CSV]]

Each part below is a shipped sweep, cut to seconds a training: a few steps, few images, one or two seeds. So the numbers
say that the chain from a sweep to a table is whole, and nothing about methods. RUNS is made, or gone on with, as by
`onelip sweep`. With --page all tables go into one Markdown file, with what the papers publish beside them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from onelip.experiments.collection import RunRow, collect
from onelip.experiments.machine import describe_machine
from onelip.experiments.tables.grid import having
from onelip.experiments.tables.templates import TEMPLATES

FEW = ["trainer.max_epochs=1", "trainer.max_steps=30", "trainer.validate_every=1", "data.validation=0.02"]
LESS = ["trainer.max_epochs=1", "trainer.max_steps=6", "trainer.validate_every=1", "data.validation=0.005"]
CHECKED = ["certify.max_samples=200", "attack.samples=20"]
LCONVNET = [*FEW, *CHECKED, "attack.steps=10"]
LARGE = [*LESS, *CHECKED, "attack.steps=5", "sweep.factors.size=[large]", "sweep.factors.seed=[0]"]
SMALL = ["sweep.factors.size=[small]", "sweep.factors.seed=[0, 1]"]
RELAXED = [*LESS, "certify.max_samples=20", "attack.samples=20", "attack.steps=5"]
CUT_SEARCH = ["sweep.factors.size=[xs]", "sweep.trials=1", "sweep.budget=null", "data.batch_size=32"]
CUT_FINAL = ["sweep.final={seeds: [0, 1], budget: null, set: {}}", *CHECKED, "attack.steps=5"]

PARTS: dict[str, list[list[str]]] = {
    "lconvnet-mnist-small": [["sweep", "lconvnet", "sweep.factors.data=[mnist]", *SMALL, *LCONVNET]],
    "lconvnet-cifar10-small": [["sweep", "lconvnet", "sweep.factors.data=[cifar10]", *SMALL, *LCONVNET]],
    "lconvnet-mnist-large": [["sweep", "lconvnet", "sweep.factors.data=[mnist]", *LARGE]],
    "lconvnet-cifar10-large": [["sweep", "lconvnet", "sweep.factors.data=[cifar10]", *LARGE]],
    "lconvnet-mnist-dense": [
        ["sweep", "lconvnet-dense", "sweep.factors.data=[mnist]", "sweep.factors.seed=[0, 1]", *LCONVNET]
    ],
    "lconvnet-cifar10-dense": [
        ["sweep", "lconvnet-dense", "sweep.factors.data=[cifar10]", "sweep.factors.seed=[0, 1]", *LCONVNET]
    ],
    "lconvnet-mnist-relu": [
        ["train", f"lconvnet-mnist-{name}", *RELAXED] for name in ("kw-small", "kw-large", "l2nnn")
    ],
    "lconvnet-cifar10-relu": [
        ["train", f"lconvnet-cifar10-{name}", *RELAXED] for name in ("kw-small", "kw-large", "l2nnn")
    ],
    "lnets-wasserstein": [["sweep", "lnets-wasserstein", "trainer.max_steps=120", "trainer.validate_every=60"]],
    "lnets-mnist": [["sweep", "lnets-mnist", "sweep.factors.seed=[0]", *LCONVNET]],
    "lnets-mnist-small": [
        ["train", f"lnets-small-mnist-lenet-{name}", *FEW, *CHECKED, "attack.steps=5", "data.validation=null"]
        for name in ("standard", "bjorck")
    ],
    "layers-compared-cifar10": [
        [
            "sweep",
            "layers-compared",
            *CUT_SEARCH,
            *CUT_FINAL,
            *LESS,
            "data.subset={per_class: 60, validation_per_class: 10}",
            "data.validation=null",
        ],
        ["sweep", "layers-compared", "--stage", "final"],
    ],
    "orthogonium-cifar10": [["sweep", "orthogonium", "sweep.factors.seed=[0]", *LESS, *CHECKED, "attack.steps=5"]],
    "lconvnet-wasserstein-cifar10": [
        [
            "sweep",
            "lconvnet-wasserstein",
            # Of the GAN, which the first of the trainings makes.
            "p.overrides=[trainer.max_steps=10, trainer.validate_every=10, data.batch_size=16, data.dir=CIFAR10]",
            "sweep.factors.data=[cifar10]",
            "sweep.factors.seed=[0]",
            "batch_size=16",
            "trainer.max_steps=10",
            "trainer.validate_every=10",
            "evaluation.n_samples=200",
            "q.dir=CIFAR10",
        ],
    ],
    "fastclip-digits": [
        ["sweep", "fastclip-digits", "sweep.factors.seed=[0]", "trainer.max_epochs=3", "trainer.max_steps=30"]
    ],
}
"""Names of sweeps, which begin with what they are of, and the commands that make them."""

FGSM = ["--attack", "fgsm", "--samples", "20"]
NEAREST = ["--norm", "l2", "--samples", "5"]
BOUNDARY = ["--attack", "boundary", *NEAREST, "--steps", "50", "--eps", "36/255"]
POINTWISE = ["--attack", "pointwise", *NEAREST, "--eps", "36/255"]
CW = ["--attack", "cw", *NEAREST, "--steps", "20", "--binary-search-steps", "1"]
ATTACKS: list[tuple[Callable[[RunRow], bool], list[list[str]]]] = [
    (having(data="mnist", model=("fc-3", "l2nnn"), layer=("bjorck", "rk-l2ne")), [FGSM]),
    (having(data="mnist", model="lconvnet-large", layer="bcop"), [FGSM]),
    (having(data="cifar10", model=("fc-3", "l2nnn"), layer=("bjorck", "rk-l2ne")), [FGSM]),
    (
        having(data="cifar10", model=("lconvnet-small", "lconvnet-large"), layer="bcop"),
        [FGSM, BOUNDARY, POINTWISE],
    ),
    (having(data="cifar10", model=("kw-small", "kw-large")), [FGSM, BOUNDARY, POINTWISE]),
    (having(data="digits", model="resnet18", layer="plain"), [CW]),
]
"""Attacks that some tables show beside those of the configurations, and on which runs."""

HEAD = """# Every table of the papers, from small runs

What `onelip tables RUNS --template NAME` makes of a tree of runs. **The trainings behind it take seconds**: 6 to
120 steps on MNIST, CIFAR-10 and handwritten digits, one or two seeds, 5 to 200 test images. So our numbers say
that every table can be made from runs, and nothing about methods. What the papers publish stands below, apart.
Made by `python -m benchmarks.paper_tables RUNS --mnist FOLDER --cifar10 FOLDER --page FILE` on
{machine}.{costs}
"""


def commands(part: str, arguments: argparse.Namespace) -> list[list[str]]:
    """Write the commands of a part.

    Args:
        part: A key of `PARTS`.
        arguments: Of the script.

    Returns:
        Arguments of `onelip`.
    """
    runs: Path = arguments.runs
    data = {"mnist": arguments.mnist, "cifar10": arguments.cifar10}
    places = [f"data.dir={data[name]}" for name in data if name in part]
    written = []
    for command, name, *rest in PARTS[part]:
        workers = ["--workers", str(arguments.workers)]
        if command == "train":
            if not any((runs / name).glob("*/results.json")):
                written.append([command, name, *rest, *places, f"runs_dir={runs}"])
        elif rest[:2] == ["--stage", "final"]:
            written.append([command, str(runs / part), *rest, *workers])
        else:
            # A distance has its images in the section of a distribution.
            given = [word.replace("CIFAR10", str(arguments.cifar10)) for word in rest]
            own = [] if any("CIFAR10" in word for word in rest) else places
            written.append([command, name, *given, *own, f"runs_dir={runs}", f"name={part}", *workers])
    return written


def attacks(runs: Path) -> list[list[str]]:
    """Write the attacks that are missing.

    Args:
        runs: Where the runs are.

    Returns:
        Arguments of `onelip`.
    """
    written = []
    for row in collect([str(runs)]):
        for wanted, several in ATTACKS:
            if row.status != "finished" or not wanted(row):
                continue
            for words in several:
                if not any(row.folder.glob(f"attack-{words[1]}-*.json")):
                    written.append(["attack", str(row.folder), *words])
    return written


def page(runs: Path, measurements: Path | None) -> str:
    """Write all tables.

    Args:
        runs: Where the runs are.
        measurements: The file of `onelip bench measure` for tables of costs.

    Returns:
        Markdown.
    """
    costs = "" if measurements is None else f" Costs are those of [{measurements.name}]({measurements.name})."
    sections = [HEAD.format(machine=describe_machine(torch.device("cpu")), costs=costs)]
    for name, template in TEMPLATES.items():
        words = [sys.executable, "-m", "onelip", "tables", str(runs), "--template", name]
        if template.measured and measurements is not None:
            words += ["--measurements", str(measurements)]
        table = subprocess.run(words, capture_output=True, text=True, check=False)
        sections.append(f"## {name}\n\n{table.stdout or table.stderr}")
    return "\n".join(sections)


def main() -> int:
    """Run the parts, and write the page.

    Returns:
        Exit code: that of the first command that failed, after all have run.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--mnist", type=Path)
    parser.add_argument("--cifar10", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--page", type=Path)
    parser.add_argument("--measurements", type=Path)
    arguments = parser.parse_args()
    codes = []
    for part in arguments.only:
        for words in commands(part, arguments):
            codes.append(subprocess.run([sys.executable, "-m", "onelip", *words], check=False).returncode)
    for words in attacks(arguments.runs):
        codes.append(subprocess.run([sys.executable, "-m", "onelip", *words], check=False).returncode)
    if arguments.page is not None:
        arguments.page.write_text(page(arguments.runs, arguments.measurements), encoding="utf-8")
    return next((code for code in codes if code), 0)


if __name__ == "__main__":
    sys.exit(main())
