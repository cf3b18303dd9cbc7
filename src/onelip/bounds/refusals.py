"""Modules and functions of torch that have no finite Lipschitz constant, or none that is known here, and why."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from onelip.bounds.registry import NORMS, Call, Refused, register_bound, register_calls
from onelip.linalg import Bound

_DIVIDES = "it divides by a size of the sample itself, so its constant depends on eps alone and is of no use"
_JUMPS = "it jumps, so no constant exists"
_PRODUCT = "a product of two signals has unbounded derivatives"
_RECURRENT = "gates multiply signals, whose derivatives are unbounded"
_ATTENTION = "dot-product attention has unbounded derivatives"
_INDICES = "its input is of whole numbers, which no small change leads from one to the next"
_TWO = "it takes two signals or targets, so it is no layer between input and logits; leave losses out of the model"
_RANDOM = "its windows are random in eval mode as well; use MaxPool or AvgPool"
_POSITIONS = "it takes positions of maxima, which are not continuous; use Upsample or a transposed convolution"
_WITH_INDICES = "return_indices=True returns positions, which are not continuous; use return_indices=False"
_LAZY = "its shapes are not known before its first call; call the model once"

REASONS: dict[str, str] = {
    "LocalResponseNorm": _DIVIDES + "; use BatchNorm or a centering layer of onelip",
    "CrossMapLRN2d": _DIVIDES + "; use BatchNorm or a centering layer of onelip",
    "Hardshrink": _JUMPS + "; use Softshrink",
    "GLU": _PRODUCT + "; use MaxMin",
    "CosineSimilarity": _DIVIDES,
    "PairwiseDistance": "it takes two signals; subtract them and use a linear layer",
    "RNN": _RECURRENT,
    "LSTM": _RECURRENT,
    "GRU": _RECURRENT,
    "RNNBase": _RECURRENT,
    "RNNCell": _RECURRENT,
    "RNNCellBase": _RECURRENT,
    "LSTMCell": _RECURRENT,
    "GRUCell": _RECURRENT,
    "Transformer": _ATTENTION,
    "TransformerEncoder": _ATTENTION,
    "TransformerDecoder": _ATTENTION,
    "TransformerEncoderLayer": _ATTENTION,
    "TransformerDecoderLayer": _ATTENTION,
    "Embedding": _INDICES,
    "EmbeddingBag": _INDICES,
    "DataParallel": "it spreads batches over devices; use the module inside of it",
    "FractionalMaxPool2d": _RANDOM,
    "FractionalMaxPool3d": _RANDOM,
    "MaxUnpool1d": _POSITIONS,
    "MaxUnpool2d": _POSITIONS,
    "MaxUnpool3d": _POSITIONS,
}
"""Why a class of torch.nn is refused, by its name. Losses and lazy modules are refused as well."""

FUNCTIONS: dict[Any, str] = {
    F.layer_norm: _DIVIDES + "; use batch normalisation or a centering layer of onelip",
    F.group_norm: _DIVIDES + "; use batch normalisation or a centering layer of onelip",
    F.instance_norm: _DIVIDES + "; use batch normalisation or a centering layer of onelip",
    F.local_response_norm: _DIVIDES + "; use batch normalisation or a centering layer of onelip",
    F.normalize: _DIVIDES + "; near zero it is as steep as 1/eps",
    F.max_pool1d_with_indices: _WITH_INDICES,
    F.max_pool2d_with_indices: _WITH_INDICES,
    F.max_pool3d_with_indices: _WITH_INDICES,
    F.adaptive_max_pool1d_with_indices: _WITH_INDICES,
    F.adaptive_max_pool2d_with_indices: _WITH_INDICES,
    F.adaptive_max_pool3d_with_indices: _WITH_INDICES,
    F.hardshrink: _JUMPS + "; use softshrink",
    F.glu: _PRODUCT + "; use MaxMin",
    F.scaled_dot_product_attention: _ATTENTION,
    torch.bmm: _PRODUCT,
    torch.round: _JUMPS,
    torch.floor: _JUMPS,
    torch.ceil: _JUMPS,
    torch.sign: _JUMPS,
    torch.sqrt: "its derivative is unbounded at 0",
    torch.log: "its derivative is unbounded at 0",
    torch.exp: "its derivative is unbounded",
    torch.pow: "its derivative is unbounded",
    torch.square: "its derivative is unbounded",
    "round": _JUMPS,
    "floor": _JUMPS,
    "ceil": _JUMPS,
    "sign": _JUMPS,
    "sqrt": "its derivative is unbounded at 0",
    "log": "its derivative is unbounded at 0",
    "exp": "its derivative is unbounded",
    "pow": "its derivative is unbounded",
    "square": "its derivative is unbounded",
}
"""Why a function or tensor method is refused."""


def reason(kind: type[nn.Module]) -> str | None:
    """Look up why a class of torch.nn is refused.

    Args:
        kind: The class.

    Returns:
        The reason as half a sentence, or None.
    """
    if "Loss" in kind.__name__:
        return _TWO
    if kind.__name__.startswith("Lazy"):
        return _LAZY
    return REASONS.get(kind.__name__)


def _refusing(words: str) -> Any:
    def rule(*_: Any) -> Bound:
        raise Refused(words)

    return rule


def _register() -> None:
    for name in dir(nn):
        kind = getattr(nn, name)
        words = reason(kind) if isinstance(kind, type) and issubclass(kind, nn.Module) else None
        if words is not None:
            for norm in NORMS:
                register_bound(kind, _refusing(words), norm=norm)
    for target, words in FUNCTIONS.items():

        def refuse(call: Call, words: str = words) -> Bound:
            raise Refused(words)

        for norm in NORMS:
            register_calls(refuse, target, norm=norm)


_register()
