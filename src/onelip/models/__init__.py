"""Architectures by name, each buildable with any layer method.

An architecture is one file with one decorated function, imported here.
"""

# Architectures: each registers itself when it is imported.
from onelip.models import (
    aol_nets,
    bcop_large,
    bronet,
    convnet,
    critics,
    digits_net,
    dla,
    gradient_nets,
    kw,
    l2nnn,
    lconvnet,
    lenet,
    lip_resnet,
    lip_vgg,
    lipconvnet,
    lipnext,
    liresnet,
    mlp,
    patchnet,
    pyramid,
    resnet,
    sandwich_nets,
    simple_conv,
    sll_resnet,
    split_concat_net,
    staged_cnn,
)

# How a network's layers are made.
from onelip.models.method import Method, choose_method

# The registry: build by name, list, add.
from onelip.models.registry import UsualMethod, available, build, register_model, usual_method

__all__ = [
    "Method",
    "UsualMethod",
    "aol_nets",
    "available",
    "bcop_large",
    "bronet",
    "build",
    "choose_method",
    "convnet",
    "critics",
    "digits_net",
    "dla",
    "gradient_nets",
    "kw",
    "l2nnn",
    "lconvnet",
    "lenet",
    "lip_resnet",
    "lip_vgg",
    "lipconvnet",
    "lipnext",
    "liresnet",
    "mlp",
    "patchnet",
    "pyramid",
    "register_model",
    "resnet",
    "sandwich_nets",
    "simple_conv",
    "sll_resnet",
    "split_concat_net",
    "staged_cnn",
    "usual_method",
]
