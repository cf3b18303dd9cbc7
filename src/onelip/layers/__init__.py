"""Layers whose Lipschitz constant in the l2 norm is known, as drop-ins for their torch namesakes."""

# The shared bases, for authors of new layers.
from onelip.layers.abs import Abs, BetaAbs
from onelip.layers.adaptive_pooling import AdaptiveL2NormPool2d, AdaptiveScaledAvgPool2d
from onelip.layers.adaptive_soc import AdaptiveSOCConv2d, AdaptiveSOCConvTranspose2d
from onelip.layers.aoc import AOCConv1d, AOCConv2d, AOCConvTranspose2d
from onelip.layers.aoc_linear import AOCLinear
from onelip.layers.aoc_residual import AOCResidualConv2d, AOCResidualLinear
from onelip.layers.aol import AOLConv1d, AOLConv2d, AOLConvTranspose2d, AOLLinear
from onelip.layers.batch_centering import BatchCentering
from onelip.layers.batch_lip_norm import BatchLipNorm
from onelip.layers.batch_statistics import BatchStatistics
from onelip.layers.bcop import BCOPConv2d
from onelip.layers.bjorck import BjorckLinear
from onelip.layers.bro import BROConv2d, BROLinear

# Verbs on whole models.
from onelip.layers.budget import distribute_constant
from onelip.layers.cayley import CayleyConv2d, CayleyLinear
from onelip.layers.channel_shift import ChannelShift2d
from onelip.layers.channels import ChannelKeep, ChannelPad, ChannelShuffle
from onelip.layers.cholesky import CholeskyLinear
from onelip.layers.circular import CircularConv2d, CircularConvTranspose2d
from onelip.layers.constrained import ConstrainedModule
from onelip.layers.convex_residual import ConvexResidual
from onelip.layers.cpl import CPLConv2d, CPLLinear
from onelip.layers.eco import ECOConv2d
from onelip.layers.explicit import ExplicitConv2d, ExplicitConvTranspose2d, ExplicitLinear
from onelip.layers.explicit_1d import ExplicitConv1d
from onelip.layers.exponential import ExponentialLinear
from onelip.layers.fourier import FourierConv2d
from onelip.layers.frequency import FrequencyConv2d
from onelip.layers.frobenius import FrobeniusConv2d, FrobeniusLinear
from onelip.layers.gradient_residual import (
    GradientResidual1d,
    GradientResidual2d,
    GradientResidualConv2d,
    GradientResidualLinear,
)
from onelip.layers.groupsort import FullSort, GroupSort
from onelip.layers.householder import HouseHolder, HouseHolder2
from onelip.layers.householder_linear import HouseholderLinear
from onelip.layers.invertible_sampling import InvertibleDownsampling2d, InvertibleUpsampling2d
from onelip.layers.join import Join
from onelip.layers.layer_centering import LayerCentering
from onelip.layers.leaf import Activation, PlainLayer
from onelip.layers.leaky_relu import LeakyReLU
from onelip.layers.linf import LInfConv2d, LInfLinear
from onelip.layers.linf_scaled import LInfScaledConv2d, LInfScaledLinear
from onelip.layers.lipnext import LipNeXtConv2d
from onelip.layers.lipnext_block import LipNeXtBlock2d
from onelip.layers.liresnet import LiResNetConv2d, LiResNetLinear
from onelip.layers.lot import LOTConv2d, LOTLinear
from onelip.layers.lprelu import LPReLU
from onelip.layers.maxmin import MaxMin, MaxMinReLU
from onelip.layers.maxmin_adjacent import AdjacentMaxMin
from onelip.layers.maxout import Maxout
from onelip.layers.mirror_average import MirrorAverage
from onelip.layers.n_activation import NActivation
from onelip.layers.newton_schulz import NewtonSchulzLinear
from onelip.layers.normalize import Normalize

# Verbs on whole models.
from onelip.layers.on_manifold import on_manifold_
from onelip.layers.orthogonal_block import OrthogonalBlock
from onelip.layers.ossn import OSSNConv2d, OSSNLinear
from onelip.layers.parseval import ParsevalConv2d, ParsevalLinear
from onelip.layers.patch_map import PatchMap2d
from onelip.layers.periodic_spectrum import PeriodicSpectrumConv2d

# Verbs on whole models.
from onelip.layers.plain import project_, retract_, to_plain
from onelip.layers.polar_express import PolarExpressLinear
from onelip.layers.pooling import L2NormPool2d, ScaledAvgPool2d
from onelip.layers.positional_code import PositionalCode2d
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
from onelip.layers.regularized import RegularizedConv2d
from onelip.layers.relu import ReLU
from onelip.layers.residuals import AdditiveResidual, ConcatResidual, L2NormResidual, PrescaledResidual, Residual, Sum
from onelip.layers.rk_l2ne import NonexpansiveConv2d, NonexpansiveLinear
from onelip.layers.rko import RKOConv1d, RKOConv2d, RKOConvTranspose2d
from onelip.layers.sandwich import SandwichConv2d, SandwichLinear
from onelip.layers.sandwich_plain import FrequencySandwich2d, Sandwich1d
from onelip.layers.scale import Scale
from onelip.layers.series import SkewSeries2d
from onelip.layers.series_conv import SeriesConv1d, SeriesConv2d
from onelip.layers.sll import SLLConv2d, SLLLinear
from onelip.layers.sll_aoc import SLLxAOCConv2d, SLLxAOCLinear
from onelip.layers.soc import SOCConv1d, SOCConv2d
from onelip.layers.soft_huber import SoftHuber
from onelip.layers.spectral_norm import SpectralNormConv2d, SpectralNormLinear
from onelip.layers.spectral_rescaling import (
    SpectralRescalingConv2d,
    SpectralRescalingConvTranspose2d,
    SpectralRescalingLinear,
)
from onelip.layers.spectral_rescaling_residual import SpectralRescalingResidualConv2d, SpectralRescalingResidualLinear
from onelip.layers.svcm import SVCMConv2d
from onelip.layers.two_sided_relu import TwoSidedReLU
from onelip.layers.unit_norm import UnitNormLinear

__all__ = [
    "AOCConv1d",
    "AOCConv2d",
    "AOCConvTranspose2d",
    "AOCLinear",
    "AOCResidualConv2d",
    "AOCResidualLinear",
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
    "AdjacentMaxMin",
    "BCOPConv2d",
    "BROConv2d",
    "BROLinear",
    "BatchCentering",
    "BatchLipNorm",
    "BatchStatistics",
    "BetaAbs",
    "BjorckLinear",
    "CPLConv2d",
    "CPLLinear",
    "CayleyConv2d",
    "CayleyLinear",
    "ChannelKeep",
    "ChannelPad",
    "ChannelShift2d",
    "ChannelShuffle",
    "CholeskyLinear",
    "CircularConv2d",
    "CircularConvTranspose2d",
    "ConcatResidual",
    "ConstrainedModule",
    "ConvexResidual",
    "ECOConv2d",
    "ExplicitConv1d",
    "ExplicitConv2d",
    "ExplicitConvTranspose2d",
    "ExplicitLinear",
    "ExponentialLinear",
    "FourierConv2d",
    "FrequencyConv2d",
    "FrequencySandwich2d",
    "FrobeniusConv2d",
    "FrobeniusLinear",
    "FullSort",
    "GradientResidual1d",
    "GradientResidual2d",
    "GradientResidualConv2d",
    "GradientResidualLinear",
    "GroupSort",
    "HouseHolder",
    "HouseHolder2",
    "HouseholderLinear",
    "InvertibleDownsampling2d",
    "InvertibleUpsampling2d",
    "Join",
    "L2NormPool2d",
    "L2NormResidual",
    "LInfConv2d",
    "LInfLinear",
    "LInfScaledConv2d",
    "LInfScaledLinear",
    "LOTConv2d",
    "LOTLinear",
    "LPReLU",
    "LayerCentering",
    "LayerRecord",
    "LeakyReLU",
    "LiResNetConv2d",
    "LiResNetLinear",
    "LipNeXtBlock2d",
    "LipNeXtConv2d",
    "MaxMin",
    "MaxMinReLU",
    "Maxout",
    "MirrorAverage",
    "NActivation",
    "NewtonSchulzLinear",
    "NonexpansiveConv2d",
    "NonexpansiveLinear",
    "Normalize",
    "OSSNConv2d",
    "OSSNLinear",
    "OrthogonalBlock",
    "ParsevalConv2d",
    "ParsevalLinear",
    "PatchMap2d",
    "PeriodicSpectrumConv2d",
    "PlainLayer",
    "PolarExpressLinear",
    "PositionalCode2d",
    "PrescaledResidual",
    "QRLinear",
    "RKOConv1d",
    "RKOConv2d",
    "RKOConvTranspose2d",
    "ReLU",
    "RegularizedConv2d",
    "Residual",
    "SLLConv2d",
    "SLLLinear",
    "SLLxAOCConv2d",
    "SLLxAOCLinear",
    "SOCConv1d",
    "SOCConv2d",
    "SVCMConv2d",
    "Sandwich1d",
    "SandwichConv2d",
    "SandwichLinear",
    "Scale",
    "ScaledAvgPool2d",
    "SeriesConv1d",
    "SeriesConv2d",
    "SkewSeries2d",
    "SoftHuber",
    "SpectralNormConv2d",
    "SpectralNormLinear",
    "SpectralRescalingConv2d",
    "SpectralRescalingConvTranspose2d",
    "SpectralRescalingLinear",
    "SpectralRescalingResidualConv2d",
    "SpectralRescalingResidualLinear",
    "Sum",
    "TwoSidedReLU",
    "UnitNormLinear",
    "activation",
    "available",
    "conv1d",
    "conv2d",
    "conv_transpose2d",
    "distribute_constant",
    "linear",
    "normalization",
    "on_manifold_",
    "pool",
    "project_",
    "record",
    "records",
    "register",
    "retract_",
    "to_plain",
]
