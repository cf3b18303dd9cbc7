"""The critic beside the exact dual."""

import pytest

from onelip.experiments.config_file import load_any_config
from onelip.experiments.run_folder import RunFolder
from onelip.experiments.wasserstein.landscape import draw_landscape
from onelip.experiments.wasserstein.preparation import prepare

SMALL = ["model.widths=[4]", "trainer.threads=1"]


def drawn(name, tmp_path):
    made = prepare(load_any_config(name, SMALL))
    return draw_landscape(made, made.critic, RunFolder(tmp_path))


@pytest.mark.parametrize("name", ["wasserstein-absolute-value", "wasserstein-cones"])
def test_critics_of_lines_and_planes_are_drawn(tmp_path, name):
    (picture,) = drawn(name, tmp_path)
    assert picture.path.read_bytes().startswith(b"\x89PNG")
    assert "the best potential of the distributions" in picture.text


def test_where_no_dual_is_known_it_is_that_of_samples(tmp_path):
    (picture,) = drawn("wasserstein-points", tmp_path)
    assert "the best potential of" in picture.text


def test_images_have_no_landscape(tmp_path):
    assert drawn("wasserstein-digits", tmp_path) == []
