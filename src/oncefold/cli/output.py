"""An answer in the form that was asked for, on standard output or in a file."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from oncefold.cli.options import FORMATS
from oncefold.cli.screen import Screen
from oncefold.core.errors import OncefoldError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from oncefold.questions.answers import Answer
    from oncefold.questions.columns import Column

_QUOTED = re.compile(r'[",\r\n]|^\s|\s$')
_VERSION = "version"
"""A whole number that JSON readers might turn into a float; it is written as text, as sums are."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer in all its forms."""

    screen: Callable[[Screen], None]
    document: Callable[[], Mapping[str, Any]]
    """The JSON form."""
    rows: Answer | None = None
    """The row forms: JSON Lines, CSV and Parquet."""
    left_out: str = ""
    """What the rows leave out; said on stderr where the rows cannot say it."""

    def write(self, form: str | None, output: Path | None) -> None:
        """Write it. Raises OncefoldError if the file cannot be written."""
        chosen = form or _by_name(output)
        if output is None and chosen == "table":
            self.screen(Screen())
            return
        if output is None and chosen == "parquet" and sys.stdout.isatty():
            raise OncefoldError("Parquet is not for a terminal; name a file with --output, or pipe it")
        with _target(output) as file:
            self._write_form(chosen, file)
        if self.left_out and chosen not in {"table", "json"}:
            click.echo(f"oncefold: {self.left_out}", err=True)

    def _write_form(self, form: str, file: IO[bytes]) -> None:
        if form == "table":
            text = io.StringIO()
            self.screen(Screen(text))
            file.write(text.getvalue().encode())
        elif form == "json":
            file.write(json.dumps(self.document(), indent=2, ensure_ascii=False, default=_exact).encode() + b"\n")
        elif self.rows is None:
            raise OncefoldError(f"this answer has no form {form}; there is table and json")
        elif form == "jsonl":
            for row in plain_rows(self.rows):
                file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
        elif form == "csv":
            _write_csv(self.rows, file)
        else:
            _write_parquet(self.rows, file)


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


def _exact(value: object) -> str:
    """A sum in a document."""
    assert isinstance(value, Decimal)
    return f"{value:f}"


def plain_rows(answer: Answer, *without: str) -> Iterator[dict[str, Any]]:
    """The rows as JSON has them: sums, versions and times as exact text, bytes as text or in base 64."""
    columns = [item for column in answer.columns() if column.name not in without for item in _plain(column)]
    names = [name for name, _ in columns]
    for row in zip(*(values for _, values in columns), strict=True):
        yield dict(zip(names, row, strict=True))


def _plain(column: Column) -> Iterator[tuple[str, Sequence[Any]]]:
    if column.kind == "bytes":
        pairs = [_texts(value) for value in column.values]
        yield column.name, [text for text, _ in pairs]
        yield f"{column.name}_base64", [encoded for _, encoded in pairs]
    elif column.kind == "decimal":
        yield column.name, [None if value is None else f"{value:f}" for value in column.values]
    elif column.name == _VERSION:
        yield column.name, [None if value is None else str(value) for value in column.values]
    else:
        yield column.name, column.values


def _texts(raw: bytes) -> tuple[str | None, str | None]:
    """Bytes as text where they are text, else in base 64."""
    try:
        return raw.decode(), None
    except UnicodeDecodeError:
        return None, base64.b64encode(raw).decode()


def _write_csv(answer: Answer, file: IO[bytes]) -> None:
    """RFC 4180 but for its line ends: null is nothing, an empty text is a pair of quotes."""
    columns = [item for column in answer.columns() for item in _plain(column)]
    lines = zip(*([name, *map(_cell, values)] for name, values in columns), strict=True)
    file.writelines((",".join(line) + "\n").encode() for line in lines)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = str(value)
    if not text or _QUOTED.search(text):
        return '"' + text.replace('"', '""') + '"'
    return text


def _write_parquet(rows: Answer, file: IO[bytes]) -> None:
    import pyarrow.parquet as pq

    whole = io.BytesIO()
    pq.write_table(rows.to_arrow(), whole)
    file.write(whole.getvalue())
