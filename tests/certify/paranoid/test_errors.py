import pytest
from tests.certify.paranoid.balls import step

from onelip.certify.checker.errors import VerificationError
from onelip.certify.paranoid.errors import NotCoveredError, require


def test_a_complaint_names_the_step():
    require(True, step("relu"), "nothing")
    with pytest.raises(VerificationError, match="relu 'n' does not fit: odd channels"):
        require(False, step("relu"), "odd channels")
    assert not issubclass(NotCoveredError, VerificationError)
