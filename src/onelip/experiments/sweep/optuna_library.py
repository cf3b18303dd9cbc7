"""Optuna, loaded where it is first needed, and quiet."""

from __future__ import annotations

from functools import cache
from typing import Any

from onelip.experiments.errors import UserError


@cache
def optuna() -> Any:
    """Load Optuna.

    Returns:
        The module, which logs nothing but warnings.

    Raises:
        UserError: It is not installed.
    """
    try:
        import optuna as library
    except ModuleNotFoundError:
        raise UserError("onelip sweep needs Optuna; install it with: pip install 'onelip[sweep]'") from None
    library.logging.set_verbosity(library.logging.WARNING)
    return library
