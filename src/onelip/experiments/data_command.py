"""The command `onelip data`: what there is on this machine, and whether it is right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from rich.text import Text

from onelip.data import DataSet, DataSetRecord, Images, StreamedImages, available, cache_folder, load
from onelip.experiments.config_source import parse_yaml
from onelip.experiments.console import say
from onelip.experiments.errors import UserError, as_user_errors
from onelip.experiments.progress import work_bar
from onelip.linalg import unknown_name

_MOST_CLASSES = 20
"""Up to so many, each has a row of its own."""

_AT_ONCE = 256


def show_data(name: str | None, *, dir: str | None, options: Sequence[str], decode: bool) -> None:
    """Load a data set, downloaded if need be, check it and print what is in it; without a name, list all.

    Args:
        name: A registered data set, or None.
        dir: Where its files are; None for the cache folder.
        options: Of its loader, as "key=value"; values are YAML.
        decode: Decode every image of a data set that is streamed from disk, too.

    Raises:
        UserError: If the files are missing or wrong, or an argument is.
    """
    if name is None:
        if dir is not None or options or decode:
            raise UserError("--dir, --decode and options are for one data set; give its name first")
        _print_table(("name", "where", "what"), _places())
        say(f"downloads are kept in {cache_folder()}")
        return
    records = available()
    if name not in records:
        raise UserError(unknown_name("data set", name, records))
    with as_user_errors():
        with work_bar(f"loading {name}") as progress:
            images = load(name, dir, progress=progress, **_parsed(options))
        if decode:
            _decode(images)
        _print_contents(images, _place(records[name], dir))


def _places() -> Iterable[tuple[str, str, str]]:
    for record in available().values():
        where = {"unused": "in onelip", "required": "--dir"}.get(record.dir, "not here")
        if record.dir == "optional" and all((cache_folder() / file).is_file() for file in record.kept):
            where = "here"
        yield record.name, where, record.summary


def _place(record: DataSetRecord, dir: str | None) -> str:
    if dir is not None:
        return str(Path(dir).expanduser())
    return "packed in onelip" if record.dir == "unused" else str((cache_folder() / record.kept[0]).parent)


def _parsed(options: Sequence[str]) -> dict[str, Any]:
    found = {}
    for option in options:
        key, equals, text = option.partition("=")
        if not equals or not key:
            raise UserError(f"{option!r} is not an option of a data set; write it as key=value")
        found[key] = parse_yaml(text, f"the value of {key}") if text.strip() else None
    return found


def _decode(images: DataSet) -> None:
    parts = (images.train, images.test)
    streamed = [part for part in parts if isinstance(part, StreamedImages)]
    if not streamed:
        raise UserError(f"--decode is for images that are streamed from disk; those of {images.name} are in memory")
    total, done = sum(map(len, streamed)), 0
    with work_bar("decoding") as progress:
        for part in streamed:
            for index in torch.arange(len(part)).split(_AT_ONCE):
                part.stored(index)
                done += len(index)
                progress(done, total)


def _print_contents(images: DataSet, place: str) -> None:
    shape = "x".join(map(str, images.input_shape))
    kept = "streamed from disk" if isinstance(images.train, StreamedImages) else "in memory"
    say(f"{images.name}: {images.source}", f"files: {place}")
    say(f"{shape} pixels, {images.n_classes} classes, {kept}")
    parts = {"train": images.train, "test": images.test}
    _print_table(
        ("part", "images", "in a class", "mean", "deviation"),
        ((name, *_row(part, images.classes)) for name, part in parts.items()),
    )
    if isinstance(images.train, StreamedImages):
        known = "the usual constants" if images.train.statistics is not None else "estimated from 1,024 images"
        say(f"mean and deviation are {known}")
    if images.n_classes <= _MOST_CLASSES:
        counts = [_counts(part, images.n_classes) for part in parts.values()]
        rows = ((name, *(f"{n:,}" for n in both)) for name, *both in zip(images.classes, *counts, strict=True))
        _print_table(("class", *parts), rows)


def _row(part: Images, classes: Sequence[str]) -> tuple[str, ...]:
    counts = _counts(part, len(classes))
    fewest, most = (f"{find(counts):,} ({classes[counts.index(find(counts))]})" for find in (min, max))
    balance = f"{counts[0]:,} each" if min(counts) == max(counts) else f"{fewest} to {most}"
    return f"{len(part):,}", balance, _pixels(part.channel_mean()), _pixels(part.channel_std())


def _counts(part: Images, n_classes: int) -> list[int]:
    return [int(n) for n in part.labels.bincount(minlength=n_classes).tolist()]


def _pixels(values: Sequence[float]) -> str:
    return " ".join(f"{value:.4f}" for value in values)


def _print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(box=None, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, no_wrap=index == 0)
    for row in rows:
        # As text, since what is in brackets would be taken for markup.
        table.add_row(*map(Text, row))
    Console().print(table)
