from onelip.certify import VerificationError


def test_it_is_a_value_error():
    assert issubclass(VerificationError, ValueError)
