import numpy as np
import pytest

from onelip.certify.checker.claims import CLAIMED_RADIUS, MEANINGS, claim, same
from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.files import NORMS, SEMANTICS


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("semantics", SEMANTICS)
def test_a_claim_names_norm_semantics_and_units(norm, semantics):
    radius = CLAIMED_RADIUS[norm][1]
    right, radii = np.array([True, True, False, True]), np.array([radius * 1.01, radius * 0.99, 0.0, 1.0])
    sentence = claim(True, 2.5, right, radii, (0.0, 255.0), norm=norm, semantics=semantics)
    assert sentence.startswith(f"PROVED: {norm} Lipschitz constant 2.5; 4 samples with pixels from 0 to 255")
    assert f"certified 0.5000 at {norm} radius {CLAIMED_RADIUS[norm][0]}" in sentence
    assert sentence.endswith(f"semantics {semantics}: {MEANINGS[semantics]}")
    assert claim(False, 2.5, right, radii, (0.0, 1.0), norm=norm, semantics=semantics).startswith("ESTIMATE")


@pytest.mark.parametrize("given", [0.5, True, None, "1.0"])
def test_numbers_must_be_what_follows(given):
    with pytest.raises(VerificationError, match=r"the share is .* but follows as 1\.0"):
        same(given, 1.0, "the share")
    same(1, 1.0, "the share")
