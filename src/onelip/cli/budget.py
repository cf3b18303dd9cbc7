"""`onelip bench budget`."""

from __future__ import annotations

from typing import Annotated

import typer


def budget(
    configs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME|FILE... [KEY=VALUE]...",
            help="Configurations, patterns of shipped ones such as 'layers-compared-xs-*', and changes of all of them.",
        ),
    ] = None,
    hours: Annotated[float, typer.Option(min=1e-6, help="The time that the epochs are to fit into.")] = 2.0,
    sizes: Annotated[
        str | None, typer.Option(metavar="xs,s", help="Of the networks of layers-compared; all by default.")
    ] = None,
    methods: Annotated[
        str | None, typer.Option(metavar="aoc,aol", help="Layers of the networks of layers-compared; all by default.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(metavar="cifar10", help="Data of layers-compared: cifar10, cifar100, tiny-imagenet.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="How many training steps of each to measure.")] = 50,
    seconds: Annotated[float, typer.Option(min=0.001, help="Time for the steps of each; two are taken at least.")] = 30,
    out: Annotated[str, typer.Option(metavar="FILE", help="Rows of this machine are renewed there.")] = "budgets.yaml",
) -> None:
    """Measure how long an epoch of configurations takes on this machine, and how many epochs fit into a time.

    Real training steps are taken, in a folder that is removed again. Data that would have to be downloaded is replaced
    by random images of the same shape and number. Exit code 1 if a configuration failed, whose row has the reason.

    Examples: onelip bench budget digits --hours 0.5; onelip bench budget --sizes xs,s --methods aoc,aol --hours 24
    """
    from onelip.experiments.bench.budget_command import bench_budget

    bench_budget(
        configs or [],
        sizes=sizes,
        methods=methods,
        data=data,
        hours=hours,
        steps=steps,
        seconds=seconds,
        out=out,
    )
