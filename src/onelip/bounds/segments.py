"""Find the runs of dense layers in a network's graph, and prove a constant of each as a whole."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, fx, nn

from onelip.bounds.dense_links import Variants, dense_links, function_links
from onelip.linalg import EXACT_ONE, Bound
from onelip.linalg.chain_radii import choose_radii
from onelip.linalg.dense_chain import Link, Matrix, Slopes, chain_image
from onelip.linalg.ellipsoids import Ellipsoid, pair_widths, radius_bound

LARGEST = 1e11
"""Operations that the proof of one segment may take; larger ones are left to the product."""

Shape = tuple[int, ...]


Shapes = Mapping[str, tuple[Shape, Shape]]
"""Shapes of one sample of the (first) input and of the output of each node that depends on the network's input."""


@dataclass(frozen=True, eq=False)
class Segment:
    """A run of dense layers with a proved constant of the whole.

    Attributes:
        source: Name of the node whose output enters it; None for the network's input.
        nodes: Names of its nodes, in order.
        mixed: Are sums within sorted groups followed exactly?
        radii: `(n,)` for each activation, from which the proof follows.
        bound: The constant.
        widths: `(n, n)` constants of the differences of all pairs of its outputs; infinite where they overflow.
    """

    source: str | None
    nodes: tuple[str, ...]
    mixed: bool
    radii: tuple[Tensor, ...]
    bound: Bound
    widths: Tensor


@dataclass(frozen=True, eq=False)
class _Run:
    source: fx.Node
    nodes: list[fx.Node]
    variants: list[Variants]


def tightened_segments(
    root: nn.Module, graph: fx.Graph, shapes: Shapes, own: Mapping[str, Bound], steps: int | None
) -> tuple[Segment, ...]:
    """Prove constants of all runs of dense layers, by ellipsoids whose radii are searched for.

    A run is a chain of two matrices or more with activations, factors, shifts by biases and reshapes between, in which
    no intermediate result is used elsewhere. Runs whose proof fails, would take too long or does not beat the product
    of the constants of its nodes are left out.

    Args:
        root: The module that the graph's names are relative to.
        graph: The calls.
        shapes: Shapes by node.
        own: Constant of each node by itself.
        steps: Gradient steps of the search; None for a number that suits the size.

    Returns:
        The segments in order of execution.

    Paper: Xu and Sivaranjani 2024 (ECLipsE), NeurIPS; Pauli et al. 2024, for groups.
    """
    segments = (_proved(run, steps) for run in _runs(root, graph, shapes))
    return tuple(segment for segment in segments if segment is not None and _shortens(segment, own))


def _shortens(segment: Segment, own: Mapping[str, Bound]) -> bool:
    product = EXACT_ONE
    for name in segment.nodes:
        product = product.then(own[name])
    return segment.bound.value < product.value


def _runs(root: nn.Module, graph: fx.Graph, shapes: Shapes) -> list[_Run]:
    runs: dict[fx.Node, _Run] = {}
    for node in graph.nodes:
        variants = _described(root, node, shapes)
        if variants is None:
            continue
        source = next(n for n in node.all_input_nodes if n.op == "placeholder" or n.name in shapes)
        run = runs.pop(source, None) if len(source.users) == 1 else None
        run = run or _Run(source, [], [])
        runs[node] = _Run(run.source, [*run.nodes, node], [*run.variants, variants])
    trimmed = (_trimmed(run) for run in runs.values())
    return [run for run in trimmed if run is not None]


def _described(root: nn.Module, node: fx.Node, shapes: Shapes) -> Variants | None:
    if node.name not in shapes:
        return None
    signals = [n for n in node.all_input_nodes if n.op == "placeholder" or n.name in shapes]
    if len(signals) != 1:
        return None
    before, after = shapes[node.name]
    if node.op == "call_module":
        variants = dense_links(root.get_submodule(str(node.target)), before)
    else:
        variants = function_links(node.target, before)
    # What moves entries must keep all of them.
    return None if variants == ([],) and math.prod(before) != math.prod(after) else variants


def _is_matrix(variants: Variants) -> bool:
    return len(variants[0]) == 1 and isinstance(variants[0][0], Matrix)


def _trimmed(run: _Run) -> _Run | None:
    # From the first matrix to the last, with the rearrangements and slices behind it.
    matrices = [i for i, variants in enumerate(run.variants) if _is_matrix(variants)]
    if len(matrices) < 2:
        return None
    first, stop = matrices[0], matrices[-1] + 1
    while stop < len(run.nodes) and not any(isinstance(link, Slopes) for link in run.variants[stop][0]):
        stop += 1
    source = run.source if first == 0 else run.nodes[first - 1]
    return _Run(source, run.nodes[first:stop], run.variants[first:stop])


def _proved(run: _Run, steps: int | None) -> Segment | None:
    choices = [[variants[-1 if mixed else 0] for variants in run.variants] for mixed in (False, True)]
    if all(len(variants) == 1 for variants in run.variants):
        choices = choices[:1]
    best: Segment | None = None
    for mixed, parts in enumerate(choices):
        links = list(itertools.chain.from_iterable(parts))
        if _cost(links) > LARGEST:
            continue
        radii = choose_radii(links, steps)
        image = chain_image(links, radii)
        bound = None if image is None else _radius(image)
        if image is None or bound is None or (best is not None and best.bound.value <= bound.value):
            continue
        names = tuple(node.name for node in run.nodes)
        source = None if run.source.op == "placeholder" else run.source.name
        best = Segment(source, names, bool(mixed), tuple(radii), bound, pair_widths(image))
    return best


def _radius(image: Ellipsoid) -> Bound | None:
    try:
        return radius_bound(image)
    except ValueError:
        return None


def _cost(links: Sequence[Link]) -> float:
    matrices = [link.weight.shape for link in links if isinstance(link, Matrix)]
    products = sum(4.0 * m * n * max(m, n) for m, n in matrices)
    return products + sum(12.0 * len(link.middle) ** 3 for link in links if isinstance(link, Slopes))
