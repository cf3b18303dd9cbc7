"""The command `onelip convert`."""

from __future__ import annotations

from typing import Annotated

import typer


def convert(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="settings.yml of Layers Compared, cfg.yaml or template.yaml of LConvNet, JSON of LNets.",
        ),
    ],
    changes: Annotated[
        list[str] | None,
        typer.Option("-o", metavar="A.B=C", help="Change it first, as LNets does; may be repeated or have several."),
    ] = None,
    out: Annotated[
        str | None, typer.Option(metavar="FILE", help="A new file; by default NAME.yaml in the current folder.")
    ] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(
            metavar="PATH", help="model_state_dict.pth of the network: makes a run of it that can be certified."
        ),
    ] = None,
    source: Annotated[
        str | None, typer.Option("--from", metavar="NAME", help="layers-compared, lconvnet or lnets; told by its keys.")
    ] = None,
    project: Annotated[
        bool,
        typer.Option("--project", help="Where a layer cannot be the same function, take the nearest, and say how far."),
    ] = False,
    runs_dir: Annotated[str | None, typer.Option(metavar="DIR", help="Where that run goes; runs by default.")] = None,
) -> None:
    """Turn settings and checkpoints of other code bases into ours, and list what has no counterpart.

    Nothing in them is executed, and nothing is written if something in them is unknown. A file with random values
    becomes a sweep.

    Examples: onelip convert settings.yml --out mine.yaml; onelip convert lenet.json -o "optim.epochs=10 seed=1";
    onelip convert dumped_setting.yml --checkpoint model_state_dict.pth
    """
    from onelip.experiments.convert import command

    command.convert(
        file,
        changes or [],
        out=out,
        checkpoint=checkpoint,
        source=source,
        project=project,
        runs_dir=runs_dir,
    )
