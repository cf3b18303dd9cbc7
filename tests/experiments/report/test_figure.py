"""The figure for documents."""

import pytest
from PIL import Image

from onelip.experiments import UserError
from onelip.experiments.report import write_figure
from onelip.experiments.report.figure import write_pictures
from onelip.experiments.report.record import read_run


@pytest.mark.parametrize("attacked", [True, False])
def test_the_figure_is_drawn(run, attacked):
    if not attacked:
        run.attack_file.unlink()
    path = write_figure(run.path)
    assert path == run.path / "certified_accuracy.png"
    with Image.open(path) as picture:
        assert picture.size == (1280, 760)
        colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 24)}
    assert ((0x1C, 0x5F, 0xB8) in colours, (0xB3, 0x50, 0x0C) in colours) == (True, attacked)


def test_a_figure_needs_a_certificate(run):
    run.certificate_file.unlink()
    with pytest.raises(UserError, match="has no certificate yet; write one with: onelip certify"):
        write_figure(run.path)


def test_every_picture_of_a_run_is_drawn_twice(run, evidence):
    folder = write_pictures(read_run(run.path), evidence)
    assert folder == run.path / "pictures"
    names = ("accuracy-l2", "activity", "adversarial", "depth", "gradients", "margins")
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"{n}.{e}" for n in names for e in ("png", "svg"))


def test_without_a_network_there_is_its_accuracy(run):
    folder = write_pictures(read_run(run.path), None)
    assert sorted(path.name for path in folder.iterdir()) == ["accuracy-l2.png", "accuracy-l2.svg"]
