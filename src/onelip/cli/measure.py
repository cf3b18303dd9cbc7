"""`onelip bench measure`."""

from __future__ import annotations

from typing import Annotated

import typer


def measure(
    models: Annotated[
        str, typer.Option(metavar="A,B", help="Architectures, such as convnet-xs,convnet-s,convnet-m,convnet-l.")
    ] = "convnet-xs,convnet-s",
    methods: Annotated[
        str, typer.Option(metavar="A,B", help="Layers; plain for ordinary ones, which the others are compared with.")
    ] = "plain,aoc,aol,bcop,cayley,cpl,lot,sll,soc",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    batch: Annotated[int, typer.Option(min=1, help="Images in a batch.")] = 256,
    image: Annotated[int, typer.Option(min=1, help="Side of the images, which have three channels.")] = 32,
    classes: Annotated[int, typer.Option(min=1, help="Number of classes.")] = 10,
    steps: Annotated[int, typer.Option(min=1, help="How often each thing is timed, at most; medians count.")] = 20,
    seconds: Annotated[
        float, typer.Option(min=0.001, help="About how long each network may take; what takes longer is timed once.")
    ] = 60.0,
    out: Annotated[str, typer.Option(metavar="FILE", help="Rows are appended to it.")] = "measurements.csv",
    format_name: Annotated[str, typer.Option("--format", help="table, md, csv or json, printed.")] = "table",
) -> None:
    """Measure whole networks: time and memory of training and evaluation, building of weights, FLOPs, parameters.

    A row for each network is appended to FILE as soon as it is measured, see docs/bench-measure.md. On the CPU each
    network has processes of its own, and the number of threads is that of OMP_NUM_THREADS. Exit code 1 if one failed.

    Example: onelip bench measure --models convnet-xs --methods plain,aoc,aol --batch 64
    """
    from onelip.experiments.bench.measure_command import Effort, bench_measure

    bench_measure(
        models=models,
        methods=methods,
        device=device,
        batch=batch,
        image=image,
        classes=classes,
        effort=Effort(steps, seconds),
        format_name=format_name,
        out=out,
    )
