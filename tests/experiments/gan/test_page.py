"""The page of a run: whole, escaped, and for every kind of result."""

import json
from html.parser import HTMLParser

import pytest
import torch
from tests.experiments.gan.small import small_config

from onelip.experiments import create_run_folder
from onelip.experiments.gan.page import write_page
from onelip.pictures import sample_grid, save_animation, save_picture

RESULTS = {
    "name": "a<b", "data": "digits", "image_shape": [1, 8, 8], "critic": "lipschitz", "generator_steps": 1234,
    "critic_steps": 6170, "generator": "infogan", "critic_model": "mlp", "train_seconds": 90.0,
    "n_parameters": {"generator": 10, "critic": 20}, "machine": {"cpu": "some CPU", "torch": "2"},
    "frechet": {
        "squared_distance": 0.5, "squared_distance_of_training_images": 0.25, "features": "4 components",
        "explained_variance": 0.5, "n_real": 40, "n_generated": 50,
    },
    "critic_constant": {"value": 1.00000012, "proved": True, "kind": "upper bound, proved"},
    "critic_gradients": {"real": 0.91234, "generated": 0.8, "between": 0.7, "mean": 0.6, "largest": 0.91234},
    "wasserstein1": {
        "difference": 0.25, "difference_standard_error": 0.01, "lower_bound": 0.24999, "standard_error": 0.01,
        "discrete": 0.5, "discrete_of_training_images": 0.4, "n_discrete": 40,
        "unit": "l2 of pixels in [0, 1] at 1x8x8",
    },
}  # fmt: skip


class Sources(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found += [value for key, value in attrs if key in ("src", "href")]


@pytest.fixture
def folder(tmp_path):
    place = create_run_folder(small_config(tmp_path))
    picture = sample_grid(torch.rand(4, 1, 8, 8))
    for name in ("samples", "real", "losses"):
        save_picture(picture, place.path / f"{name}.png")
    save_animation([picture, picture], place.path / "evolution.gif")
    return place


def page(folder, **changes):
    folder.results_file.write_text(json.dumps({**RESULTS, **changes}))
    return write_page(folder).read_text()


def test_the_page_is_one_file_with_numbers_that_claim_no_more_than_was_found(folder):
    text = page(folder)
    sources = Sources()
    sources.feed(text)
    assert all(source.startswith("data:") for source in sources.found)
    assert sum(source.startswith("data:image/gif") for source in sources.found) == 1
    assert "a&lt;b" in text
    # Upper bounds are rounded up, lower ones down.
    for part in ("≤ 1.0001", "≥ 0.2499", "0.9124", "1,234 steps", "l2 of pixels in [0, 1] at 1x8x8", "1.5 minutes"):
        assert part in text
    assert f"onelip train --resume {folder.path}" in text
    assert "load_generator(" in text


def test_without_a_constant_there_is_no_bound(folder):
    nothing = RESULTS["wasserstein1"] | {"lower_bound": None, "standard_error": None}
    text = page(folder, critic_constant=None, wasserstein1=nothing, critic="wgan")
    assert "Wasserstein-1 distance" not in text.partition("<section")[0]
    assert "clipped weights (WGAN)" in text
