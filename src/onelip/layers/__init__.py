"""Layers whose Lipschitz constant in the l2 norm is known, as drop-ins for their torch namesakes."""

# The shared bases, for authors of new layers.
from onelip.layers.circular import CircularConvTranspose2d
from onelip.layers.constrained import ConstrainedModule
from onelip.layers.explicit import ExplicitConv2d, ExplicitConvTranspose2d, ExplicitLinear

# Verbs on whole models.
from onelip.layers.plain import retract_, to_plain

# The registry: build by name, list, look up.
from onelip.layers.registry import (
    LayerRecord,
    activation,
    available,
    conv2d,
    conv_transpose2d,
    linear,
    pool,
    record,
    records,
    register,
)

__all__ = [
    "CircularConvTranspose2d",
    "ConstrainedModule",
    "ExplicitConv2d",
    "ExplicitConvTranspose2d",
    "ExplicitLinear",
    "LayerRecord",
    "activation",
    "available",
    "conv2d",
    "conv_transpose2d",
    "linear",
    "pool",
    "record",
    "records",
    "register",
    "retract_",
    "to_plain",
]
