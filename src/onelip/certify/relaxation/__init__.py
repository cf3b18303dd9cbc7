"""Linear relaxation of ordinary networks: margins and radii by going back from the logits to the input."""

from onelip.certify.relaxation.margins import Relaxation, relaxed_margins
from onelip.certify.relaxation.program import UnrelaxableOperation
from onelip.certify.relaxation.radii import relaxed_radii

__all__ = ["Relaxation", "UnrelaxableOperation", "relaxed_margins", "relaxed_radii"]
