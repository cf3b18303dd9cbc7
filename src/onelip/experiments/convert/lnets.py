"""Settings of LNets: one JSON file for each of its tasks."""

from __future__ import annotations

from onelip.experiments.convert.conversion import Conversion
from onelip.experiments.convert.lnets_classification import convert_classification
from onelip.experiments.convert.lnets_gan import convert_gan
from onelip.experiments.convert.lnets_wasserstein import convert_wasserstein
from onelip.experiments.convert.marked import Marked, Section


def convert_lnets(marked: Marked) -> Conversion:
    """Convert a settings file.

    Args:
        marked: What it holds.

    Returns:
        A configuration of the task that its keys are of.

    Raises:
        UserError: If a model, a layer or another name is unknown, or has no counterpart that the rest makes sense with.
    """
    top = Section(marked)
    if "gan_type" in top:
        return convert_gan(top)
    if "distrib1" in top:
        return convert_wasserstein(top)
    if "data" in top:
        return convert_classification(top)
    raise marked.refuse("the file has neither data nor distrib1 nor gan_type, by which the tasks of LNets differ")
