"""Which inputs the arguments of a run name, in which format each is, and how it is to be read."""

import glob
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final, Literal

from oncefold.core.errors import SourceError
from oncefold.core.fieldpath import FieldPath
from oncefold.core.limits import RECORD_BYTES
from oncefold.sources.blocks import BLOCK_BYTES
from oncefold.sources.directories import columns_of_directories
from oncefold.sources.encoding import encoding_named

TABLE_ROWS: Final = 2**17
"""Rows in one block of a table."""

Kind = Literal["json", "csv", "parquet", "arrow"]

_KINDS: Final[dict[str, tuple[Kind, str | None]]] = {
    "jsonl": ("json", None),
    "ndjson": ("json", None),
    "json": ("json", None),
    "csv": ("csv", ","),
    "tsv": ("csv", "\t"),
    "parquet": ("parquet", None),
    "pq": ("parquet", None),
    "arrow": ("arrow", None),
    "ipc": ("arrow", None),
    "feather": ("arrow", None),
}
"""By name of a format, which is also an extension."""

EXTENSIONS: Final = tuple(_KINDS)
"""Extensions that say a format, without the dot."""

FORMAT_NAMES: Final = ("jsonl", "csv", "tsv", "parquet", "arrow")
"""The names in messages."""

_COMPRESSED: Final = {".gz", ".zst"}


@dataclass(frozen=True, slots=True)
class Format:
    """How to read a stream."""

    kind: Kind
    delimiter: str | None = None
    """CSV only."""

    @property
    def is_text(self) -> bool:
        """Whether it is made of lines."""
        return self.kind in {"json", "csv"}


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What a run says about its sources as a whole."""

    format: str | None = None
    """A name of a format for every source; None goes by each name, and reads stdin as JSON Lines."""
    delimiter: str | None = None
    """CSV: one ASCII character; None is the format's own, or the one that gives the header the most wanted fields."""
    encoding: str | None = None
    """Text: the name of its encoding; None is UTF-8, or the one that the first bytes announce."""
    fields: Sequence[FieldPath] | None = None
    """The fields that are wanted: tables give only these, and a header without any of them is an error."""
    needed: Sequence[FieldPath] = ()
    """Those of them that every event has: a header without one of these is an error."""
    whole: bool = False
    """Give tables with all their columns, and the columns of directories, wanted or not."""
    follow: bool = False
    reread: bool = False
    """Read every file from its start, whatever was read before."""
    block_bytes: int = BLOCK_BYTES
    record_bytes: int = RECORD_BYTES
    table_rows: int = TABLE_ROWS

    @property
    def read_fields(self) -> Sequence[FieldPath] | None:
        """The fields that are read; None for all that are there."""
        return None if self.whole else self.fields

    def __post_init__(self) -> None:
        """Raises SourceError for a format or delimiter that does not exist."""
        if self.format is not None and self.format not in _KINDS:
            raise SourceError(f"there is no format {self.format!r}; choose one of {', '.join(FORMAT_NAMES)}")
        if self.delimiter is not None and (
            len(self.delimiter) != 1 or not self.delimiter.isascii() or self.delimiter in '"\r\n\0'
        ):
            raise SourceError(f"a delimiter is one ASCII character, not a quote or newline; {self.delimiter!r} is not")
        if self.encoding is not None:
            encoding_named(self.encoding)


def extension_format(name: str) -> str | None:
    """The format that a file's name announces, with or without .gz or .zst on text; None if it announces none."""
    suffixes = [suffix.lower() for suffix in PurePath(name).suffixes[-2:]]
    compressed = bool(suffixes) and suffixes[-1] in _COMPRESSED
    if compressed:
        suffixes.pop()
    found = suffixes[-1][1:] if suffixes else ""
    if found not in _KINDS or (compressed and _KINDS[found][0] not in {"json", "csv"}):
        return None
    return found


def says_compressed(name: str) -> bool:
    """Whether a file's name announces gzip or zstd."""
    return PurePath(name).suffix.lower() in _COMPRESSED


def format_of(name: str, options: ReadOptions) -> Format:
    """How to read the file, or stream, of this name (`-` is stdin). Raises SourceError if that cannot be known."""
    chosen = options.format or ("jsonl" if name == "-" else extension_format(name))
    if chosen is None:
        raise SourceError(
            f"{name}: its name does not say which format it has; "
            f"say --format with one of {', '.join(FORMAT_NAMES)} (gzip and zstd of text are found out by themselves)"
        )
    kind, delimiter = _KINDS[chosen]
    return Format(kind, (options.delimiter or delimiter) if kind == "csv" else None)


STDIN: Final = "-"
STREAM: Final = "kinesis://"
"""The scheme of a Kinesis stream."""

_STREAM_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}", re.ASCII)

_TEMPORARY: Final = (".tmp", ".temp", ".part", ".partial", ".crdownload", ".swp", ".lock")
"""Endings of files that are being written and will be renamed."""


@dataclass(frozen=True, slots=True)
class Input:
    """One thing to read."""

    source: str
    """Its name in positions and rejects: the absolute real path, `-` for stdin, a pipe's path as it was given; of a
    stream `kinesis://` and its name, with that of the shard behind it."""
    path: str
    """What to open; `-` for stdin, a stream's name."""
    form: Format
    is_pipe: bool = False
    """Read once, front to back, without a position to resume from."""
    is_stream: bool = False
    """A Kinesis stream."""

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """Names and values that the names of its directories hold."""
        return () if self.is_pipe or self.is_stream or "=" not in self.path else columns_of_directories(self.path)


def discover(arguments: Sequence[str], options: ReadOptions) -> list[Input]:
    """Everything the arguments name, in their order, what a directory or pattern holds sorted by path; nothing twice.

    An argument is a file, a directory (all files below it whose extension is known, hidden and temporary ones left
    out), a pattern (`*`, `?`, `[...]`, `**` for any depth), `-`, or `kinesis://` and a stream's name. Raises
    SourceError for a file or directory that is not there and, unless following, for a directory or pattern without any
    file.
    """
    inputs: dict[str, Input] = {}
    for argument in arguments:
        for found in _inputs(argument, options):
            inputs.setdefault(found.source, found)
    return list(inputs.values())


def _inputs(argument: str, options: ReadOptions) -> Iterator[Input]:
    if argument == STDIN:
        yield Input(STDIN, STDIN, format_of(STDIN, options), is_pipe=True)
        return
    if argument.startswith(STREAM):
        yield _stream(argument, options)
        return
    path = Path(argument)
    if path.is_dir():
        files = list(_below(path, options))
        missing = (
            f"{argument}: no file below this directory has a name that says its format (such as .jsonl or .csv.gz)"
        )
    elif path.exists():
        files = [path]
        missing = ""
    elif glob.has_magic(argument):
        files = [Path(name) for name in sorted(glob.glob(argument, recursive=True)) if not Path(name).is_dir()]  # noqa: PTH207 - `**` in the middle of an absolute pattern
        missing = f"{argument}: no file matches this pattern"
    else:
        raise SourceError(f"{argument}: there is no such file or directory")
    if not files and not options.follow:
        raise SourceError(missing)
    for file in files:
        yield _file(file, options)


def _stream(argument: str, options: ReadOptions) -> Input:
    name = argument.removeprefix(STREAM)
    if not _STREAM_NAME.fullmatch(name):
        raise SourceError(f"{argument}: name a stream as {STREAM}NAME; AWS_REGION or the profile says its region")
    form = format_of(STDIN, options)
    if form.kind != "json":
        raise SourceError(f"{argument}: the records of a stream are JSON Lines; read it without --format")
    return Input(argument, name, form, is_stream=True)


def _file(path: Path, options: ReadOptions) -> Input:
    if not stat.S_ISREG(path.stat().st_mode):
        name = _text(str(path))
        form = format_of(STDIN if extension_format(name) is None else name, options)
        return Input(name, str(path), form, is_pipe=True)
    real = os.path.realpath(path)
    try:
        form = format_of(str(path), options)
    except SourceError:
        form = format_of(real, options)
    return Input(_text(real), real, form)


def _below(directory: Path, options: ReadOptions) -> Iterator[Path]:
    """Files to read in a directory, sorted by path, and those of its directories."""
    with os.scandir(directory) as entries:
        names = sorted(entries, key=lambda entry: entry.name)
    for entry in names:
        if entry.name.startswith((".", "_")) or entry.name.endswith("~"):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _below(Path(entry.path), options)
        elif entry.is_file() and _is_wanted(entry.name, options):
            yield Path(entry.path)


def _is_wanted(name: str, options: ReadOptions) -> bool:
    if name.lower().endswith(_TEMPORARY):
        return False
    return options.format is not None or extension_format(name) is not None


def _text(path: str) -> str:
    """A path that can be stored as text, whatever bytes it holds."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
