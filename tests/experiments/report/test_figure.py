"""The figure for documents."""

import pytest
from PIL import Image

from onelip.experiments import UserError
from onelip.experiments.report import write_figure


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
