"""An answer in the form that was asked for, on standard output or in a file."""

from __future__ import annotations

import base64
import io
import json
import os
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

_QUOTED = frozenset('",\r\n')
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
            file.write(json.dumps(_plain(self.document()), indent=2, ensure_ascii=False).encode() + b"\n")
        elif self.rows is None:
            raise OncefoldError(f"this answer has no form {form}; there is table and json")
        elif form == "jsonl":
            for row in self.rows.to_dicts():
                file.write(json.dumps(_plain(row), ensure_ascii=False).encode() + b"\n")
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
    unfinished = output.with_name(f".{output.name}.{os.getpid()}.part")
    try:
        with unfinished.open("wb") as file:
            yield file
        unfinished.replace(output)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise


def _plain(value: Any) -> Any:
    """The value as JSON has it: sums, versions and times as exact text, bytes as text or in base 64."""
    if isinstance(value, dict):
        return {name: item for key, inner in value.items() for name, item in _item(key, inner)}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return f"{value:f}" if isinstance(value, Decimal) else value


def _item(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, bytes):
        text, encoded = _texts(value)
        yield key, text
        yield f"{key}_base64", encoded
    elif key == _VERSION and isinstance(value, int):
        yield key, str(value)
    else:
        yield key, _plain(value)


def _texts(raw: bytes) -> tuple[str | None, str | None]:
    """Bytes as text where they are text, else in base 64."""
    try:
        return raw.decode(), None
    except UnicodeDecodeError:
        return None, base64.b64encode(raw).decode()


def _write_csv(rows: Answer, file: IO[bytes]) -> None:
    """RFC 4180 but for its line ends: null is nothing, an empty text is a pair of quotes."""
    names = [name for field in rows.to_arrow().schema for name in _csv_names(field.name, str(field.type))]
    file.write(_csv_line(names))
    for row in map(_plain, rows.to_dicts()):
        file.write(_csv_line([row[name] for name in names]))


def _csv_names(name: str, kind: str) -> tuple[str, ...]:
    return (name, f"{name}_base64") if kind == "binary" else (name,)


def _csv_line(cells: Sequence[Any]) -> bytes:
    return (",".join(map(_cell, cells)) + "\n").encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = str(value)
    if not text or _QUOTED & {*text} or text.strip() != text:
        return '"' + text.replace('"', '""') + '"'
    return text


def _write_parquet(rows: Answer, file: IO[bytes]) -> None:
    import pyarrow.parquet as pq

    whole = io.BytesIO()
    pq.write_table(rows.to_arrow(), whole)
    file.write(whole.getvalue())
