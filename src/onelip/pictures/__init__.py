"""Pictures of classifiers and critics: what is measured for them, and the drawings."""

from onelip.pictures.accuracy import RobustAccuracy, UnderAttack
from onelip.pictures.adversarial import AdversarialImages
from onelip.pictures.depth import DepthProfile, PartActivity, depth_profile
from onelip.pictures.gradients import ClassGradients, class_gradients
from onelip.pictures.landscape import CriticCurve, CriticSurface, critic_curve, critic_surface
from onelip.pictures.margins import MarginHistogram, PixelMargins, pixel_margins

__all__ = [
    "AdversarialImages",
    "ClassGradients",
    "CriticCurve",
    "CriticSurface",
    "DepthProfile",
    "MarginHistogram",
    "PartActivity",
    "PixelMargins",
    "RobustAccuracy",
    "UnderAttack",
    "class_gradients",
    "critic_curve",
    "critic_surface",
    "depth_profile",
    "pixel_margins",
]
