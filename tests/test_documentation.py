"""Every Python block of the README and the docs runs as written."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = {page: re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL) for page in PAGES}

# Importing torch takes longer than most examples: those of a page share a process, each with names of its own.
RUNNER = """
import json, sys
for i, block in enumerate(json.load(sys.stdin)):
    print(f"block {i}")
    exec(compile(block, f"block {i}", "exec"), {"__name__": "__main__"})
"""


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if BLOCKS[page]], ids=lambda page: page.name)
def test_blocks_run(page, tmp_path):
    # The second is of Lightning, where Slurm is installed.
    warnings = ["-W", "error", "-W", "ignore:The `srun` command is available"]
    command = [sys.executable, *warnings, "-c", RUNNER]
    done = subprocess.run(
        command, cwd=tmp_path, input=json.dumps(BLOCKS[page]), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"{done.stdout.splitlines()[-1]}: {done.stderr}"
    for printed in re.split(r"^block \d+$", done.stdout, flags=re.MULTILINE)[1:]:
        assert "proved" in printed, "an example ends in what is proved"


def test_the_first_example_ends_in_a_proof_before_line_25():
    lines = (ROOT / "README.md").read_text("utf-8").splitlines()
    start, end = lines.index("```python"), lines.index("```", lines.index("```python"))
    assert end - start - 1 == 15
    assert end < 25


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target
