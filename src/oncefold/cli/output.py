"""Answers in the requested form, on standard output or in a file."""

from __future__ import annotations

import io
import os
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from oncefold.cli.options import FORMATS, csv_safe
from oncefold.core.errors import OncefoldError
from oncefold.queries.render.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from oncefold.aws.deploy.package import Package
    from oncefold.queries.model import Answer


def write_package(built: Package, path: Path) -> None:
    """Write a zip of functions' code; print its size and SHA-256. Raises OncefoldError if it cannot be written."""
    try:
        path.write_bytes(built.data)
    except OSError as error:
        raise OncefoldError(f"{path}: cannot be written: {error.strerror}; name another file with --output") from None
    click.echo(f"{path}: {len(built.data):,} bytes, SHA-256 {built.sha256}")


def write_answer(answer: Answer[Any], form: str | None, output: Path | None, *, whole: bool = False) -> None:
    """Write an answer; `whole` is that of `oncefold.queries.render.table.show`.

    Raises OncefoldError if the file cannot be written.
    """
    from oncefold.queries.render.table import left_out

    chosen = form or _by_name(output)
    if output is None and chosen == "table":
        _show(answer, Screen(), whole=whole)
        return
    if output is None and chosen == "parquet" and sys.stdout.isatty():
        raise OncefoldError("Parquet is not for a terminal; name a file with --output, or pipe it")
    with _target(output) as file:
        file.writelines(_pieces(answer, chosen, whole=whole))
    if chosen not in {"table", "json"} and (rest := left_out(answer)):
        click.echo(f"oncefold: {rest}", err=True)


def _show(answer: Answer[Any], screen: Screen, *, whole: bool) -> None:
    from oncefold.queries.status_model import Status

    if isinstance(answer, Status):
        from oncefold.queries.render.status_table import show_status

        show_status(answer, screen)
    else:
        from oncefold.queries.render.table import show

        show(answer, screen, whole=whole)


def _pieces(answer: Answer[Any], form: str, *, whole: bool) -> Iterable[bytes]:
    if form == "table":
        text = io.StringIO()
        _show(answer, Screen(text), whole=whole)
        return [text.getvalue().encode()]
    if form == "parquet":
        from oncefold.queries.render.arrow import parquet

        return [parquet(answer)]
    from oncefold.queries.render.rows import csv_lines, json_lines, pretty_json

    if form == "json":
        from oncefold.queries.render.document import document

        return [pretty_json(document(answer, time.time_ns()))]
    return json_lines(answer) if form == "jsonl" else csv_lines(answer, safe=csv_safe())


def write_report(
    show: Callable[[Screen], None], document: Callable[[], Mapping[str, Any]], form: str | None, output: Path | None
) -> None:
    """Write what has no rows, as a table or as JSON. Raises OncefoldError if the file cannot be written."""
    chosen = form or _by_name(output)
    if output is None and chosen == "table":
        show(Screen())
        return
    if chosen not in {"table", "json"}:
        raise OncefoldError(f"this answer has no form {chosen}; there is table and json")
    text = io.StringIO()
    if chosen == "table":
        show(Screen(text))
    else:
        from oncefold.queries.render.rows import pretty_json

        text.write(pretty_json(document()).decode())
    with _target(output) as file:
        file.write(text.getvalue().encode())


def _by_name(output: Path | None) -> str:
    ending = "" if output is None else output.suffix.lower().removeprefix(".")
    return ending if ending in FORMATS else "table"


@contextmanager
def _target(output: Path | None) -> Iterator[IO[bytes]]:
    """Standard output, or a file that appears when all of it is written."""
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        with _replacing(output) as file:
            yield file
    except OSError as error:
        raise OncefoldError(f"{output}: cannot be written: {error.strerror or error}; name another file") from None


@contextmanager
def _replacing(output: Path) -> Iterator[IO[bytes]]:
    if output.exists() and not output.is_file():  # a device or a named pipe
        with output.open("wb") as file:
            yield file
        return
    real = output.resolve()  # a symbolic link stays one
    unfinished = real.with_name(f".{real.name}.{os.getpid()}.part")
    try:
        with unfinished.open("wb") as file:
            yield file
        unfinished.replace(real)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise
