"""What the page says."""

from pathlib import Path

from onelip.experiments.wasserstein.page import results_page

RESULTS = {
    "name": "x", "p": "a", "q": "b", "unit": "l2", "model": "mlp", "layer": "bjorck", "n_parameters": 3, "steps": 1,
    "train_seconds": 1.0, "difference": 0.12349, "seed": 0, "created": "2026-11-27T00:00:00",
    "machine": {"cpu": "c", "cores": 2}, "lower_bound": 0.12349, "standard_error": 0.01, "level": 0.9,
    "interval": [0.1, 0.2], "n_samples": 1000, "lipschitz_bound": {"value": 1.00000001, "proved": True},
    "exact": 0.25, "exact_unknown": "", "discrete": {"n_samples": 5, "exact": 0.3, "lower_bound": 0.2},
}  # fmt: skip


def tiles(**changes):
    page = results_page({**RESULTS, **changes}, [], "", Path("runs/x/1"))
    return page, {tile.name: tile for tile in page.tiles}


def test_bounds_are_rounded_down_and_constants_up():
    page, found = tiles()
    assert found["Wasserstein-1 distance, at least"].value == "0.1234"
    assert found["Lipschitz constant of the critic"].value == "≤ 1.0000001"
    assert "at least 0.1234," in page.lead
    assert found["Exact distance"].detail == "49.4% of it is attained"
    assert found["Exact between 5 samples of each"].value == "0.3000"


def test_what_is_not_known_is_said():
    page, found = tiles(exact=None, exact_unknown="spheres overlap", discrete=None)
    assert set(found) == {
        "Wasserstein-1 distance, at least", "90% interval of this bound", "Lipschitz constant of the critic",
    }  # fmt: skip
    assert ("exact distance", "not known: spheres overlap") in page.rows
    assert not tiles(lipschitz_bound={"value": 1.0, "proved": False})[1]["Lipschitz constant of the critic"].proved
