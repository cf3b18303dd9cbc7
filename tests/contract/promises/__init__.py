"""Importing this package fills the table of promises."""

from tests.contract.promises import (
    arguments,
    assignment,
    bound,
    cache,
    copies,
    gradients,
    norm,
    plain,
    second_derivatives,
    state,
    transforms,
)

__all__ = [
    "arguments",
    "assignment",
    "bound",
    "cache",
    "copies",
    "gradients",
    "norm",
    "plain",
    "second_derivatives",
    "state",
    "transforms",
]
