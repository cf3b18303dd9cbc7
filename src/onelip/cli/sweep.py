"""`onelip sweep`."""

from __future__ import annotations

from typing import Annotated

import typer

from onelip.experiments.errors import UserError


def sweep(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE|FOLDER",
            help="Name of a sweep (see: onelip list sweeps), path of a YAML file, or the folder of one to go on with.",
        ),
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Changes, such as sweep.trials=4.")
    ] = None,
    stage: Annotated[
        str, typer.Option(metavar="STAGE", help="search, or final: train the best of each cell with several seeds.")
    ] = "search",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Trials at a time; by default one a GPU, or one for two cores.")
    ] = None,
    executor: Annotated[str, typer.Option(help="local, slurm or ray.")] = "local",
    storage: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="sqlite:///PATH, postgresql://..., redis://... or journal:PATH; else a file in the folder.",
        ),
    ] = None,
    ray_address: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Of the Ray cluster, or auto.")] = None,
    resource: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            help="Of each job of Slurm or task of Ray, such as partition=gpu, time=12:00:00, gpus=1.",
        ),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the jobs of Slurm have ended.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the cells and the estimated time, and do nothing else.")
    ] = False,
    status: Annotated[bool, typer.Option("--status", help="Print how the sweep stands, and do nothing else.")] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try trials that failed once more.")] = False,
) -> None:
    r"""Train many configurations: all combinations of factors, and draws of whatever the file gives a distribution.

    Everything goes into RUNS_DIR/NAME. Whatever is killed, the same command goes on where it was, and no trial is run
    twice. Several machines may share a folder and a study: run the command on each, or give it to Slurm or Ray.

    Examples: onelip sweep digits-methods --workers 2; onelip sweep layers-compared --executor slurm
    --workers 32 --resource partition=gpu --resource gpus=1; onelip sweep runs/layers-compared --stage final
    \f

    Raises:
        UserError: A resource is not KEY=VALUE.
    """
    from onelip.experiments.sweep.command import sweep as run
    from onelip.experiments.sweep.executors import Options

    resources: dict[str, str] = {}
    for text in resource or []:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UserError(f"--resource {text} must be KEY=VALUE, such as partition=gpu")
        resources[key] = value
    options = Options(stage, executor, workers, storage, ray_address, resources, wait, dry_run, status, retry_failed)
    run(name, overrides or [], options)
