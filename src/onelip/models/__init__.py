"""Architectures by name, each buildable with any layer method.

An architecture is one file with one decorated function, imported here.
"""

# Architectures: each registers itself when it is imported.
from onelip.models import (
    bronet,
    convnet,
    digits_net,
    dla,
    lconvnet,
    lipnext,
    liresnet,
    mlp,
    resnet,
    simple_conv,
)

# How a network's layers are made.
from onelip.models.method import Method, choose_method

# The registry: build by name, list, add.
from onelip.models.registry import available, build, register_model

__all__ = [
    "Method",
    "available",
    "bronet",
    "build",
    "choose_method",
    "convnet",
    "digits_net",
    "dla",
    "lconvnet",
    "lipnext",
    "liresnet",
    "mlp",
    "register_model",
    "resnet",
    "simple_conv",
]
