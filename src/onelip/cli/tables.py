"""The command `onelip tables`."""

from __future__ import annotations

from typing import Annotated

import typer


def tables(
    runs: Annotated[
        list[str] | None, typer.Argument(metavar="[RUNS]...", help="Folders of runs, or folders that hold some.")
    ] = None,
    template: Annotated[
        str | None, typer.Option(metavar="NAME", help="A table of a paper, such as lconvnet-1; see --list.")
    ] = None,
    rows: Annotated[
        str | None, typer.Option(metavar="A,B", help="Factors of rows; by default those in which the runs differ.")
    ] = None,
    columns: Annotated[str | None, typer.Option(metavar="A,B", help="Factors of columns; by default none.")] = None,
    value: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Numbers, such as certified@36/255; by default accuracies, or what there is."),
    ] = None,
    format_name: Annotated[
        str | None,
        typer.Option(
            "--format", help="md, csv, latex or json; png or svg of a figure; by default what FILE ends in, or md."
        ),
    ] = None,
    out: Annotated[str | None, typer.Option(metavar="FILE", help="Write there instead of printing.")] = None,
    measurements: Annotated[
        str | None, typer.Option(metavar="FILE", help="What onelip bench measure (or budget) wrote, for costs.")
    ] = None,
    published: Annotated[
        bool,
        typer.Option("--published/--no-published", help="Show the paper's numbers, too, apart from those of runs."),
    ] = True,
    list_them: Annotated[bool, typer.Option("--list", help="List the templates and what runs each needs.")] = False,
) -> None:
    """Make a table of many runs: mean and deviation over seeds, the best in bold, what is missing marked and named.

    Every table and figure of the papers has a template. Runs that failed are named below the table.

    Examples: onelip tables runs --rows method,size --columns data --value certified@36/255;
    onelip tables runs --template lconvnet-1 --format latex --out table.tex
    """
    from onelip.experiments.tables import list_templates, make_tables

    if list_them:
        list_templates()
        return
    make_tables(
        runs or [],
        template=template,
        format_name=format_name,
        out=out,
        measurements=measurements,
        published=published,
        layout=(rows, columns, value),
    )
