"""Settings files of other code bases: which format they have, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from onelip.experiments.convert.conversion import Conversion
from onelip.experiments.convert.layers_compared import convert_layers_compared
from onelip.experiments.convert.lconvnet import convert_lconvnet
from onelip.experiments.convert.lconvnet_template import convert_template, has_variants
from onelip.experiments.convert.lnets import convert_lnets
from onelip.experiments.convert.marked import Marked, override, read_marked
from onelip.experiments.errors import UserError, as_user_errors
from onelip.linalg import unknown_name


def _lconvnet(marked: Marked) -> Conversion:
    return convert_template(marked) if has_variants(marked) else convert_lconvnet(marked)


FORMATS: dict[str, Callable[[Marked], Conversion]] = {
    "layers-compared": convert_layers_compared,
    "lconvnet": _lconvnet,
    "lnets": convert_lnets,
}
"""What converts a file, by the code base that it is of."""


def convert_settings(path: str | Path, changes: Sequence[str] = (), *, source: str | None = None) -> Conversion:
    """Convert a settings file; nothing in it is executed.

    Args:
        path: The file.
        changes: Changes of it, such as "optim.lr_schedule.lr_init=0.01 model.layers=[64,10]".
        source: A key of `FORMATS`; None to tell by its keys.

    Returns:
        The configuration or sweep that it becomes.

    Raises:
        UserError: If there is no such file, its format is not known, or something in it is.
    """
    file = Path(path)
    with as_user_errors():
        text = file.read_text("utf-8")
    marked = override(read_marked(text, file.name), changes)
    if source is not None and source not in FORMATS:
        raise UserError(unknown_name("--from", source, FORMATS))
    return FORMATS[source or _format(marked)](marked)


def _format(marked: Marked) -> str:
    keys = marked.value if isinstance(marked.value, dict) else {}
    if "<type>" in keys:
        return "lconvnet"
    if {"gan_type", "distrib1"} & set(keys) or {"optim", "data"} <= set(keys):
        return "lnets"
    if {"trainset", "lr_scheduler", "eval_metrics"} & set(keys) or {"model", "loss", "epochs"} <= set(keys):
        return "layers-compared"
    raise marked.refuse(f"the format is not known by the keys {sorted(keys)}; give --from {', '.join(FORMATS)}")
