"""The public names and signatures are those of the snapshot, and every one of them exists."""

from __future__ import annotations

import pytest
from tests.public_api import SNAPSHOT, packages, surface


@pytest.mark.parametrize("module", packages(), ids=lambda module: module.__name__)
def test_all_is_sorted_unique_and_real(module) -> None:  # type: ignore[no-untyped-def]
    names = module.__all__
    assert len(set(names)) == len(names), f"{module.__name__}.__all__ repeats a name"
    missing = [name for name in names if not hasattr(module, name)]
    assert not missing, f"{module.__name__}.__all__ lists {missing}, which do not exist"
    private = [name for name in names if name.startswith("_") and name != "__version__"]
    assert not private, f"{module.__name__}.__all__ lists the private names {private}"


def test_surface_is_the_snapshot() -> None:
    accepted, found = set(SNAPSHOT.read_text(encoding="utf-8").splitlines()), set(surface())
    gone, new = sorted(accepted - found), sorted(found - accepted)
    change = f"gone {gone}, new {new}"
    assert accepted == found, f"{change}; if meant, tell CHANGELOG.md and run python -m tests.public_api --write"
