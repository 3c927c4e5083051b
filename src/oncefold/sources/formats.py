"""Which format a file holds, and how it is to be read: by its name, or as told."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final, Literal

from oncefold.core.errors import SourceError
from oncefold.core.fieldpath import FieldPath
from oncefold.core.limits import RECORD_BYTES
from oncefold.sources.cut import BLOCK_BYTES

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
"""The names a person is told of."""

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
    """CSV: one ASCII character, instead of the format's own."""
    fields: Sequence[FieldPath] | None = None
    """The fields that are wanted: tables give only these, and a header without any of them is an error."""
    follow: bool = False
    reread: bool = False
    """Read every file from its start, whatever was read before."""
    block_bytes: int = BLOCK_BYTES
    record_bytes: int = RECORD_BYTES
    table_rows: int = TABLE_ROWS

    def __post_init__(self) -> None:
        """Raises SourceError for a format or delimiter that does not exist."""
        if self.format is not None and self.format not in _KINDS:
            raise SourceError(f"there is no format {self.format!r}; choose one of {', '.join(FORMAT_NAMES)}")
        if self.delimiter is not None and (
            len(self.delimiter) != 1 or not self.delimiter.isascii() or self.delimiter in '"\r\n\0'
        ):
            raise SourceError(f"a delimiter is one ASCII character, not a quote or newline; {self.delimiter!r} is not")


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
