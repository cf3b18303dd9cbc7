"""Everything in this folder is computed at the precision of the proof."""

import pytest
from flint import ctx

from onelip.certify.paranoid.balls import PRECISION


@pytest.fixture(autouse=True, scope="session")
def precision():
    with ctx.workprec(PRECISION):
        yield
