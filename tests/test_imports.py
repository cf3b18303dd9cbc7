"""`import onelip` needs torch and numpy alone."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "PIL",
    "flint",
    "foolbox",
    "jinja2",
    "lightning",
    "matplotlib",
    "pydantic",
    "pytorch_lightning",
    "rich",
    "ruamel",
    "safetensors",
    "schedulefree",
    "scipy",
    "tensorboard",
    "torchvision",
    "typer",
    "yaml",
)


def _loaded_by(statement: str) -> set[str]:
    program = f"import sys, torch; before = set(sys.modules); {statement}; print(*(set(sys.modules) - before))"
    result = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return {name.partition(".")[0] for name in result.stdout.split()}


@pytest.mark.parametrize(
    "statement",
    [
        "import onelip",
        "import onelip.linalg, onelip.layers, onelip.bounds",
        "import onelip; onelip.__version__",
        "import onelip.transport",
    ],
)
def test_core_imports_torch_and_numpy_alone(statement: str) -> None:
    loaded = _loaded_by(statement)
    assert "onelip" in loaded
    assert not loaded & set(HEAVY), f"{statement} loads {sorted(loaded & set(HEAVY))}"
