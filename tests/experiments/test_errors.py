"""Which errors become one sentence for the user, and which stay bugs."""

import pytest

from onelip.experiments.errors import UserError, as_user_errors


def raise_inside(error):
    with as_user_errors():
        raise error


def test_value_errors_become_one_line():
    with pytest.raises(UserError, match=r"^x=1 is wrong; use 2$"):
        raise_inside(ValueError("x=1 is\n  wrong; use 2"))


def test_operating_system_errors_name_the_path():
    with pytest.raises(UserError, match=r"^/a/b: permission denied$"):
        raise_inside(PermissionError(13, "Permission denied", "/a/b"))
    with pytest.raises(UserError, match="no network"):
        raise_inside(OSError("no network"))


@pytest.mark.parametrize("bug", [TypeError("x"), KeyError("x"), RuntimeError("x")])
def test_bugs_pass(bug):
    with pytest.raises(type(bug)):
        raise_inside(bug)
