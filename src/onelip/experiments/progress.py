"""Progress of long work on standard error: bars on a terminal, nothing elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def work_bar(description: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show a bar while the body works; nothing where standard error is no terminal.

    Args:
        description: What is being done.

    Yields:
        A function to call as `progress(done, total)`.
    """
    console = Console(stderr=True)
    with progress_bar(console) as bar:
        task = bar.add_task(description, total=None, status="")

        def progress(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total)

        yield progress


def progress_bar(console: Console) -> Progress:
    """Make a bar that shows nothing where the console is no terminal.

    Args:
        console: Where.

    Returns:
        The bar, not started; its tasks have the field `status`.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[status]}"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, disable=not console.is_terminal, transient=True)
