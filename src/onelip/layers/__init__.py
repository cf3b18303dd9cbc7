"""Layers whose Lipschitz constant in the l2 norm is known, as drop-ins for their torch namesakes."""

# The shared bases, for authors of new layers.
from onelip.layers.abs import Abs
from onelip.layers.adaptive_pooling import AdaptiveL2NormPool2d, AdaptiveScaledAvgPool2d
from onelip.layers.aoc import AOCConv2d, AOCConvTranspose2d
from onelip.layers.aol import AOLConv2d, AOLConvTranspose2d, AOLLinear
from onelip.layers.bjorck import BjorckLinear
from onelip.layers.channels import ChannelKeep, ChannelPad
from onelip.layers.circular import CircularConvTranspose2d
from onelip.layers.constrained import ConstrainedModule
from onelip.layers.explicit import ExplicitConv2d, ExplicitConvTranspose2d, ExplicitLinear
from onelip.layers.groupsort import FullSort, GroupSort
from onelip.layers.householder import HouseHolder
from onelip.layers.invertible_sampling import InvertibleDownsampling2d, InvertibleUpsampling2d
from onelip.layers.leaf import Activation, PlainLayer
from onelip.layers.maxmin import MaxMin
from onelip.layers.normalize import Normalize

# Verbs on whole models.
from onelip.layers.plain import retract_, to_plain
from onelip.layers.pooling import L2NormPool2d, ScaledAvgPool2d

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
from onelip.layers.relu import ReLU
from onelip.layers.residuals import AdditiveResidual, ConcatResidual, L2NormResidual, PrescaledResidual, Residual, Sum
from onelip.layers.rko import RKOConv2d, RKOConvTranspose2d
from onelip.layers.scale import Scale

__all__ = [
    "AOCConv2d",
    "AOCConvTranspose2d",
    "AOLConv2d",
    "AOLConvTranspose2d",
    "AOLLinear",
    "Abs",
    "Activation",
    "AdaptiveL2NormPool2d",
    "AdaptiveScaledAvgPool2d",
    "AdditiveResidual",
    "BjorckLinear",
    "ChannelKeep",
    "ChannelPad",
    "CircularConvTranspose2d",
    "ConcatResidual",
    "ConstrainedModule",
    "ExplicitConv2d",
    "ExplicitConvTranspose2d",
    "ExplicitLinear",
    "FullSort",
    "GroupSort",
    "HouseHolder",
    "InvertibleDownsampling2d",
    "InvertibleUpsampling2d",
    "L2NormPool2d",
    "L2NormResidual",
    "LayerRecord",
    "MaxMin",
    "Normalize",
    "PlainLayer",
    "PrescaledResidual",
    "RKOConv2d",
    "RKOConvTranspose2d",
    "ReLU",
    "Residual",
    "Scale",
    "ScaledAvgPool2d",
    "Sum",
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
