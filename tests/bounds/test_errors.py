from onelip.bounds import UnknownLipschitzConstant


def test_the_message_names_what_and_how():
    error = UnknownLipschitzConstant("body.3", "Swish")
    assert str(error) == (
        "Swish at 'body.3' has no known Lipschitz constant: it is not in the table of known constants; "
        "give it one with onelip.bounds.register_bound(Swish, rule)"
    )
    assert (error.name, error.kind) == ("body.3", "Swish")
    assert isinstance(error, ValueError)
