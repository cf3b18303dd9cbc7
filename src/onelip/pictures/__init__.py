"""Pictures of robustness of any classifier: what is measured for them, and the drawings."""

from onelip.pictures.accuracy import RobustAccuracy, UnderAttack
from onelip.pictures.adversarial import AdversarialImages
from onelip.pictures.depth import DepthProfile, PartActivity, depth_profile
from onelip.pictures.gan_curves import save_kinds, save_losses
from onelip.pictures.gradients import ClassGradients, class_gradients
from onelip.pictures.margins import MarginHistogram, PixelMargins, pixel_margins
from onelip.pictures.sample_grid import read_picture, sample_grid, save_animation, save_picture

__all__ = [
    "AdversarialImages",
    "ClassGradients",
    "DepthProfile",
    "MarginHistogram",
    "PartActivity",
    "PixelMargins",
    "RobustAccuracy",
    "UnderAttack",
    "class_gradients",
    "depth_profile",
    "pixel_margins",
    "read_picture",
    "sample_grid",
    "save_animation",
    "save_kinds",
    "save_losses",
    "save_picture",
]
