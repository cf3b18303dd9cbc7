"""Write docs/configurations.md from the configurations that come with the package and the notes at their top.

usage: python -m tools.configurations_page            prints the page
       python -m tools.configurations_page --write    writes it

The notes of a configuration are its first comment: a sentence or more, then `Published:`, `Source:`, `GPU-hours:` and
`Differs:`, each with what follows until the next of them.
"""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

from tools.generated_page import escaped, run

from onelip import data
from onelip.experiments import ExperimentConfig
from onelip.experiments.config_common import RunConfig
from onelip.experiments.config_file import load_any_config
from onelip.experiments.config_source import config_families
from onelip.experiments.config_wasserstein import DataImages

PAGE = Path(__file__).parents[1] / "docs" / "configurations.md"

KEYS = ("Published", "Source", "GPU-hours", "Differs")

TITLES = {
    "records": "Records",
    "orthogonium": "Orthogonium's tutorial",
    "layers_compared": "1-Lipschitz Layers Compared",
    "lconvnet": "The BCOP paper",
    "lnets": "LNets",
    "": "Others",
    "baselines": "Baselines and networks for the maximum norm",
    "wasserstein": "Wasserstein distances",
    "gan": "GANs",
    "clipping": "Clipping experiments",
}
"""Title of each family, by its folder, in order."""

INTRODUCTION = """# Configurations

What `onelip train NAME` runs by name, by family; `onelip list configs` prints the same in short. Any key can be changed
behind the name, as in `onelip train cifar10-record trainer.max_minutes=60 trainer.max_epochs=null`. This page is
generated from the files: `python -m tools.configurations_page --write`.

- *published*: accuracies in percent, clean and certified in l2, of the publication that a configuration follows, not
  ours: trainings of this length were not repeated. *differs*: what is not as published, as far as it is known.
- *GPU-hours*: as published, or computed where it says so.
- In the tests every configuration takes a step and proves its constant, with a small network and made-up images.
"""

ABOUT = {
    "layers_compared": """Sizes XS to L of one network with each method of layers, in the time of 24 hours for each:
`layers-compared-SIZE-METHOD` on CIFAR-10, `layers-compared-cifar100-SIZE-METHOD` and
`layers-compared-tiny-imagenet-SIZE-METHOD`. Rates, decays, epochs and results are those of the paper, which
[tables.md](tables.md) shows; `aoc` is ours, with the settings of `bcop`. LOT is not published in size L.""",
    "lconvnet": """Two networks with each method of convolutions, and a dense one: `lconvnet-DATA-NETWORK-METHOD`.
Published are means over five seeds from the paper's repository, see [tables.md](tables.md); what ten epochs give
is in [robustness.md](robustness.md).""",
    "lnets": """What LNets trains on MNIST, as its repository has it in files, without results: dense networks of 1,024
features with each constraint, and LeNet on few images.""",
    "baselines": """What [baselines.md](baselines.md) compares, and the networks of [linf.md](linf.md), whose radii are
in l_inf.""",
    "wasserstein": """Lower bounds of Wasserstein-1 distances by critics with a proved constant, see
[transport.md](transport.md).""",
    "gan": """Generators with critics of three kinds, `critic=lipschitz`, `wgan` or `wgan-gp`, see
[gans.md](gans.md).""",
    "clipping": """The grid of [clipping-experiments.md](clipping-experiments.md), whose cells are named after a base,
a method and a mode.""",
}


def notes(text: str) -> dict[str, str]:
    """Read the notes at the top of a configuration.

    Args:
        text: YAML.

    Returns:
        What each of `KEYS` says, and what comes before them as "summary".
    """
    lines = [line.removeprefix("#").strip() for line in text.partition("\nname:")[0].splitlines() if line[:1] == "#"]
    found, key = {"summary": ""}, "summary"
    for line in lines:
        begin = re.match(rf"({'|'.join(KEYS)}): (.*)", line)
        key, words = (begin[1], begin[2]) if begin else (key, line)
        found[key] = f"{found.get(key, '')} {words}".strip()
    return found


def shipped_notes(family: str, name: str) -> dict[str, str]:
    """Read the notes of a configuration that comes with the package.

    Args:
        family: Its folder, or "".
        name: Its name.

    Returns:
        As `notes`.
    """
    folder = resources.files("onelip.configs")
    file = (folder / family if family else folder) / f"{name}.yaml"
    return notes(file.read_text("utf-8"))


def command(name: str) -> str:
    """Say what to type.

    Args:
        name: A configuration.

    Returns:
        A command, with what it cannot do without.
    """
    config = load_any_config(name)
    if not isinstance(config, ExperimentConfig):
        return f"`onelip train {name}{''.join(f' {key}=PATH' for key in _folders(config))}`"
    section = config.data
    needed = [" data.dir=PATH"] if data.available()[section.name].dir == "required" else []
    needed += [" data.generated.path=FILE"] if section.generated is not None else []
    return f"`onelip train {name}{''.join(needed)}`"


# Data of other tasks that have to be there already.
def _folders(config: RunConfig) -> list[str]:
    found = []
    for key in ("p", "q"):
        part = getattr(config, key, None)
        if isinstance(part, DataImages) and data.available()[part.set].dir == "required":
            found.append(f"{key}.dir")
    section = getattr(config, "data", None)
    if section is not None and data.available()[section.name].dir == "required":
        found.append("data.dir")
    return found


def page() -> str:
    """Make the page.

    Returns:
        Markdown that ends in a newline.
    """
    families = config_families()
    parts = [INTRODUCTION]
    for family, title in TITLES.items():
        names = [name for name in families[family] if family != "clipping" or not _is_cell(name, families[family])]
        parts += [f"## {title}", ""]
        parts += [ABOUT[family], ""] if family in ABOUT else []
        parts += [*_table(family, names), ""]
    return "\n".join(parts)


def _is_cell(name: str, family: tuple[str, ...]) -> bool:
    return any(name.startswith(f"{other}-") for other in family)


def _table(family: str, names: list[str]) -> list[str]:
    rows = [_row(family, name) for name in names]
    # What no configuration of the family says has no column.
    columns = [key for key in rows[0] if any(row[key] for row in rows)]
    lines = [columns, ["---"] * len(columns), *([row[key] for key in columns] for row in rows)]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def _row(family: str, name: str) -> dict[str, str]:
    found = shipped_notes(family, name)
    return {
        "command": command(name),
        "what it is": escaped(found["summary"]),
        "published": escaped(found.get("Published", "")),
        "source": escaped(found.get("Source", "")),
        "GPU-hours": escaped(found.get("GPU-hours", "")),
        "differs": escaped(found.get("Differs", "")),
    }


if __name__ == "__main__":
    run("configurations_page", PAGE, page)
