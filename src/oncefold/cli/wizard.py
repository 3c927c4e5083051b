"""The questions of `oncefold init` on a terminal: the guess at each role of a field, to be confirmed or corrected."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from oncefold.cli.guess import guess, level_of, measure_of, version_of
from oncefold.core.definition import Rollup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from oncefold.cli.guess import Columns
    from oncefold.core.definition import Level, Pipeline, Version
    from oncefold.core.fieldpath import FieldPath
    from oncefold.core.measures import Measure
    from oncefold.sources.inputs import ReadOptions

_Read = TypeVar("_Read")
_NONE = "-"
_SHOWN = 3
"""Texts of a field that are shown."""
_WIDTH = 40


def prompt(example: str, options: ReadOptions) -> tuple[str, str]:
    """Ask for everything; the text of the pipeline file, and the file of events, empty if there is none.

    Raises click.Abort when the person leaves, SourceError when no field can be a key.
    """
    click.echo("A pipeline file says what events are about and which totals are kept.")
    click.echo("Enter accepts what stands in brackets; Ctrl-C leaves without writing anything.\n")
    events = click.prompt("File with some of your events (none: a commented example)", default="", show_default=False)
    while events and not Path(events).exists():
        events = click.prompt(f"{events} does not exist; another file", default="", show_default=False)
    return (guess(events, options, _choose), events) if events else (example, "")


def _choose(found: Pipeline, columns: Columns) -> Pipeline:
    """The guess as it is corrected."""
    rows = max(map(len, columns.values()))
    _show(columns)
    known = {str(field): field for field in columns}
    guessed = {str(measure.field): measure for measure in found.measures}

    def fields(text: str) -> list[FieldPath]:
        names = _names(text)
        for name in names:
            if name not in known:
                raise click.BadParameter(f"there is no field {name}; there are {', '.join(known)}")
        return [known[name] for name in names]

    def key(text: str) -> list[FieldPath]:
        if not (named := fields(text)):
            raise click.BadParameter("name at least one field")
        return named

    def version(text: str) -> Version | None:
        named = fields(text)
        if found.version is not None and named == [found.version.field]:
            return found.version
        of_field = version_of(named[0], columns[named[0]]) if len(named) == 1 else None
        if named and of_field is None:
            raise click.BadParameter("name one field of whole numbers or of times; docs/DEFINITION.md has others")
        return of_field

    def level(field: FieldPath) -> Level:
        return level_of(field, some_missing=len(columns[field]) < rows)

    def measure(field: FieldPath) -> Measure:
        of_field = guessed.get(str(field)) or measure_of(field, columns[field], rows)
        if of_field is None:
            raise click.BadParameter(f"{field} holds what is no number, so that it cannot be summed")
        return of_field

    levels = [level.field for level in found.rollups[0].levels]
    orders = [] if found.version is None else [found.version.field]
    return replace(
        found,
        key=tuple(_prompted("Key: what an event is about", found.key, key, none=False)),
        version=_prompted("Version: what orders the events of a key", orders, version),
        rollups=(
            Rollup(
                "tree",
                _prompted(
                    "Levels of the tree, from the root down", levels, lambda text: tuple(map(level, fields(text)))
                ),
            ),
            *_chosen_arrays(found.rollups[1:]),
        ),
        measures=_prompted("Sums", list(guessed), lambda text: tuple(map(measure, fields(text)))),
    )


def _chosen_arrays(found: Sequence[Rollup]) -> Sequence[Rollup]:
    """The rollups of arrays that are wanted."""
    known = {rollup.name: rollup for rollup in found}

    def rollups(text: str) -> list[Rollup]:
        names = _names(text)
        for name in names:
            if name not in known:
                raise click.BadParameter(f"there is no array {name}; there are {', '.join(known)}")
        return [known[name] for name in names]

    return _prompted("Arrays of which each element is a leaf", known, rollups) if known else ()


def _names(text: str) -> list[str]:
    """The names in an answer."""
    return [] if text.strip() == _NONE else [name.strip() for name in text.split(",") if name.strip()]


def _show(columns: Columns) -> None:
    click.echo("\nIts fields:")
    width = max(len(str(field)) for field in columns)
    for field, texts in columns.items():
        shown = ", ".join(list(dict.fromkeys(texts))[:_SHOWN])
        printable = "".join(char if char.isprintable() else "?" for char in shown)
        click.echo(f"  {field!s:<{width}}  {printable[:_WIDTH]}")
    click.echo()


def _prompted(what: str, fields: Iterable[object], read: Callable[[str], _Read], *, none: bool = True) -> _Read:
    """What a person says, asked for again until it can be read; the guess if it is accepted."""
    default = ", ".join(map(str, fields)) or _NONE
    answer: _Read = click.prompt(f"{what}{f' ({_NONE} for none)' if none else ''}", default=default, value_proc=read)
    return answer
