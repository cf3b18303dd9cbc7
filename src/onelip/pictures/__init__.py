"""Pictures of classifiers, critics and other scalar functions: what is measured for them, and the drawings."""

from onelip.pictures.accuracy import RobustAccuracy, UnderAttack
from onelip.pictures.adversarial import AdversarialImages
from onelip.pictures.canvas import Drawable, side_by_side
from onelip.pictures.decision_map import DecisionMap, DifferenceMap, decision_map, grid_points
from onelip.pictures.depth import DepthProfile, PartActivity, depth_profile
from onelip.pictures.gan_curves import save_kinds, save_losses
from onelip.pictures.gradient_norms import GradientNorms, gradient_norms
from onelip.pictures.gradients import ClassGradients, class_gradients
from onelip.pictures.landscape import CriticCurve, CriticSurface, critic_curve, critic_surface
from onelip.pictures.margins import MarginHistogram, PixelMargins, pixel_margins
from onelip.pictures.overlay_curves import OverlayCurves, mean_and_band
from onelip.pictures.pareto import ParetoPlot, pareto_front
from onelip.pictures.radar import RadarPlot
from onelip.pictures.sample_grid import read_picture, sample_grid, save_animation, save_picture

__all__ = [
    "AdversarialImages",
    "ClassGradients",
    "CriticCurve",
    "CriticSurface",
    "DecisionMap",
    "DepthProfile",
    "DifferenceMap",
    "Drawable",
    "GradientNorms",
    "MarginHistogram",
    "OverlayCurves",
    "ParetoPlot",
    "PartActivity",
    "PixelMargins",
    "RadarPlot",
    "RobustAccuracy",
    "UnderAttack",
    "class_gradients",
    "critic_curve",
    "critic_surface",
    "decision_map",
    "depth_profile",
    "gradient_norms",
    "grid_points",
    "mean_and_band",
    "pareto_front",
    "pixel_margins",
    "read_picture",
    "sample_grid",
    "save_animation",
    "save_kinds",
    "save_losses",
    "save_picture",
    "side_by_side",
]
