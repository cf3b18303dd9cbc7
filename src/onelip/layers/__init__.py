"""Layers whose Lipschitz constant in the l2 norm is known, as drop-ins for their torch namesakes."""

# The shared bases, for authors of new layers.
from onelip.layers.abs import Abs
from onelip.layers.adaptive_pooling import AdaptiveL2NormPool2d, AdaptiveScaledAvgPool2d
from onelip.layers.adaptive_soc import AdaptiveSOCConv2d, AdaptiveSOCConvTranspose2d
from onelip.layers.aoc import AOCConv1d, AOCConv2d, AOCConvTranspose2d
from onelip.layers.aol import AOLConv1d, AOLConv2d, AOLConvTranspose2d, AOLLinear
from onelip.layers.bcop import BCOPConv2d
from onelip.layers.bjorck import BjorckLinear
from onelip.layers.cayley import CayleyConv2d, CayleyLinear
from onelip.layers.channels import ChannelKeep, ChannelPad
from onelip.layers.cholesky import CholeskyLinear
from onelip.layers.circular import CircularConv2d, CircularConvTranspose2d
from onelip.layers.constrained import ConstrainedModule
from onelip.layers.cpl import CPLConv2d, CPLLinear
from onelip.layers.eco import ECOConv2d
from onelip.layers.explicit import ExplicitConv2d, ExplicitConvTranspose2d, ExplicitLinear
from onelip.layers.explicit_1d import ExplicitConv1d
from onelip.layers.exponential import ExponentialLinear
from onelip.layers.fourier import FourierConv2d, FrequencyConv2d
from onelip.layers.gradient_residual import (
    GradientResidual1d,
    GradientResidual2d,
    GradientResidualConv2d,
    GradientResidualLinear,
)
from onelip.layers.groupsort import FullSort, GroupSort
from onelip.layers.householder import HouseHolder
from onelip.layers.invertible_sampling import InvertibleDownsampling2d, InvertibleUpsampling2d
from onelip.layers.leaf import Activation, PlainLayer
from onelip.layers.maxmin import MaxMin
from onelip.layers.newton_schulz import NewtonSchulzLinear
from onelip.layers.normalize import Normalize
from onelip.layers.periodic_spectrum import PeriodicSpectrumConv2d

# Verbs on whole models.
from onelip.layers.plain import retract_, to_plain
from onelip.layers.polar_express import PolarExpressLinear
from onelip.layers.pooling import L2NormPool2d, ScaledAvgPool2d
from onelip.layers.qr import QRLinear

# The registry: build by name, list, look up.
from onelip.layers.registry import (
    LayerRecord,
    activation,
    available,
    conv1d,
    conv2d,
    conv_transpose2d,
    linear,
    normalization,
    pool,
    record,
    records,
    register,
)
from onelip.layers.relu import ReLU
from onelip.layers.residuals import AdditiveResidual, ConcatResidual, L2NormResidual, PrescaledResidual, Residual, Sum
from onelip.layers.rko import RKOConv1d, RKOConv2d, RKOConvTranspose2d
from onelip.layers.scale import Scale
from onelip.layers.series import SkewSeries2d
from onelip.layers.series_conv import SeriesConv1d, SeriesConv2d
from onelip.layers.sll import SLLConv2d, SLLLinear
from onelip.layers.soc import SOCConv1d, SOCConv2d
from onelip.layers.unit_norm import UnitNormLinear

__all__ = [
    "AOCConv1d",
    "AOCConv2d",
    "AOCConvTranspose2d",
    "AOLConv1d",
    "AOLConv2d",
    "AOLConvTranspose2d",
    "AOLLinear",
    "Abs",
    "Activation",
    "AdaptiveL2NormPool2d",
    "AdaptiveSOCConv2d",
    "AdaptiveSOCConvTranspose2d",
    "AdaptiveScaledAvgPool2d",
    "AdditiveResidual",
    "BCOPConv2d",
    "BjorckLinear",
    "CPLConv2d",
    "CPLLinear",
    "CayleyConv2d",
    "CayleyLinear",
    "ChannelKeep",
    "ChannelPad",
    "CholeskyLinear",
    "CircularConv2d",
    "CircularConvTranspose2d",
    "ConcatResidual",
    "ConstrainedModule",
    "ECOConv2d",
    "ExplicitConv1d",
    "ExplicitConv2d",
    "ExplicitConvTranspose2d",
    "ExplicitLinear",
    "ExponentialLinear",
    "FourierConv2d",
    "FrequencyConv2d",
    "FullSort",
    "GradientResidual1d",
    "GradientResidual2d",
    "GradientResidualConv2d",
    "GradientResidualLinear",
    "GroupSort",
    "HouseHolder",
    "InvertibleDownsampling2d",
    "InvertibleUpsampling2d",
    "L2NormPool2d",
    "L2NormResidual",
    "LayerRecord",
    "MaxMin",
    "NewtonSchulzLinear",
    "Normalize",
    "PeriodicSpectrumConv2d",
    "PlainLayer",
    "PolarExpressLinear",
    "PrescaledResidual",
    "QRLinear",
    "RKOConv1d",
    "RKOConv2d",
    "RKOConvTranspose2d",
    "ReLU",
    "Residual",
    "SLLConv2d",
    "SLLLinear",
    "SOCConv1d",
    "SOCConv2d",
    "Scale",
    "ScaledAvgPool2d",
    "SeriesConv1d",
    "SeriesConv2d",
    "SkewSeries2d",
    "Sum",
    "UnitNormLinear",
    "activation",
    "available",
    "conv1d",
    "conv2d",
    "conv_transpose2d",
    "linear",
    "normalization",
    "pool",
    "record",
    "records",
    "register",
    "retract_",
    "to_plain",
]
