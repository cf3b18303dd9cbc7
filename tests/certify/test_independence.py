"""The three programs that prove share nothing but what the import contracts name; read off the syntax trees."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import onelip

CERTIFY = Path(onelip.__file__).parent / "certify"
READERS = {"errors", "files", "network"}


def imported(path: Path) -> set[str]:
    """Every module that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            names |= {node.module or ""} | {f"{node.module}.{a.name}" for a in node.names if node.module == "onelip"}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


@pytest.mark.parametrize("path", sorted((CERTIFY / "checker").glob("*.py")), ids=lambda p: p.stem)
def test_the_checker_imports_numpy_safetensors_and_itself(path: Path) -> None:
    for name in imported(path):
        top = name.partition(".")[0]
        assert top not in ("torch", "flint", "scipy")
        assert top != "onelip" or name.startswith("onelip.certify.checker"), name


@pytest.mark.parametrize("path", sorted((CERTIFY / "paranoid").glob("*.py")), ids=lambda p: p.stem)
def test_ball_arithmetic_imports_numpy_flint_the_readers_and_itself(path: Path) -> None:
    allowed = {f"onelip.certify.checker.{name}" for name in READERS}
    for name in imported(path):
        top = name.partition(".")[0]
        assert top not in ("torch", "scipy", "safetensors")
        assert top != "onelip" or name.startswith("onelip.certify.paranoid") or name in allowed, name


WORDS = {"claims": {"claim"}, "tightened": {"DENSE_OPS"}}
"""What else is shared: the wording of the claim, and the names of what runs consist of."""


def test_the_prover_imports_no_other_proof() -> None:
    # What is written for the checker: sentences, and names of operations.
    names = (*READERS, "claims", "tightened", "verification")
    shared = {"onelip.certify.checker", *(f"onelip.certify.checker.{name}" for name in names)}
    for package in ("linalg", "bounds", "layers", "certify"):
        for path in (CERTIFY.parent / package).rglob("*.py"):
            if {"checker", "paranoid"} & set(path.parts):
                continue
            words = {f"onelip.certify.checker.{name}" for name in WORDS if only_words(path, name)}
            used = {n for n in imported(path) if n.startswith(("onelip.certify.checker", "onelip.certify.paranoid"))}
            assert used <= shared | words, f"{path} imports {used - shared - words}"


def only_words(path: Path, name: str) -> bool:
    """Does a file import nothing from a module of the checker but what it may?"""
    nodes = [n for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.ImportFrom)]
    names = {a.name for n in nodes if n.module == f"onelip.certify.checker.{name}" for a in n.names}
    return names <= WORDS[name]
