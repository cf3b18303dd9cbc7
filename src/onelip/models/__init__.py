"""Architectures by name, each buildable with any layer method."""

# Imported for their registrations.
from onelip.models import convnet, mlp  # noqa: F401
from onelip.models.registry import ModelRecord, available, build, record, register_model

__all__ = ["ModelRecord", "available", "build", "record", "register_model"]
