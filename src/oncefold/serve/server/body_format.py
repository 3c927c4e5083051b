"""Which format a body has: by Content-Type, Content-Encoding and the request's query."""

import codecs
import zlib
from collections.abc import Iterable
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl

from oncefold.core.errors import SourceError
from oncefold.serve.channel.messages import DEFAULT_SOURCE, BodyFormat, BodyKind
from oncefold.serve.http.response import Problem
from oncefold.sources.compression import Compression
from oncefold.sources.inputs import ReadOptions

TYPES: Final[dict[str, BodyKind]] = {
    "application/x-ndjson": "lines",
    "application/jsonl": "lines",
    "text/plain": "lines",
    "application/json": "document",
    "text/csv": "csv",
    "application/vnd.apache.arrow.stream": "arrow",
}
ENCODINGS: Final[dict[str, Compression | None]] = {
    "": None,
    "identity": None,
    "gzip": "gzip",
    "x-gzip": "gzip",
    "zstd": "zstd",
}

_CHARSETS: Final = frozenset({"", "utf-8", "utf8", "us-ascii"})
_OF_FORMS: Final = "application/x-www-form-urlencoded"
_FORM: Final = " (curl says so if it is not told otherwise: -H 'Content-Type: application/x-ndjson')"
_SNIFFED: Final = 2**10
_MOST_SOURCE: Final = 200
"""Characters of a source's name."""


@lru_cache(256)
def body_format(content_type: bytes, encoding: bytes, query: bytes) -> BodyFormat:
    """The format by its texts. Raises Problem: 415 for another type or encoding, 422 for a wrong parameter."""
    kind = _kind(content_type.decode("latin-1"))
    compression = _compression(encoding.decode("latin-1").strip().lower())
    if not query:
        return BodyFormat(kind, compression)
    named: dict[str, str] = {}
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if name not in {"delimiter", "source"}:
            raise _wrong(f"there is no query parameter {name!r}; POST /events takes source, and for CSV delimiter")
        if name in named:
            raise _wrong(f"the query parameter {name} is given twice")
        named[name] = value
    delimiter, source = named.get("delimiter"), named.get("source", DEFAULT_SOURCE)
    try:
        ReadOptions(delimiter=delimiter)
    except SourceError as error:
        raise _wrong(f"the query parameter delimiter: {error}") from None
    if not 0 < len(source) <= _MOST_SOURCE or not source.isprintable():
        raise _wrong(f"the query parameter source names the events' source in 1 to {_MOST_SOURCE} printable characters")
    return BodyFormat(kind, compression, delimiter, source)


def _kind(content_type: str) -> BodyKind:
    name, *parameters = (part.strip().lower() for part in content_type.split(";"))
    kind = TYPES.get(name or "application/x-ndjson")
    if kind is None:
        raise Problem(
            415,
            f"Events are not taken as {name[:100]!r}{_FORM if name == _OF_FORMS else ''}; "
            f"send them with Content-Type {_or(TYPES)}.",
            (b"accept-post", ", ".join(TYPES).encode()),
            title="Unsupported media type",
        )
    charset = "".join(part.removeprefix("charset=").strip('"') for part in parameters if part.startswith("charset="))
    if charset not in _CHARSETS:
        detail = f"Text is taken in UTF-8 only, not in {charset[:50]!r}; send it converted."
        raise Problem(415, detail, title="Unsupported charset")
    return kind


def require_json(body: bytes, format_: BodyFormat) -> None:
    """Refuse a body without Content-Type that does not begin as JSON, gzip or not. Raises Problem 415."""
    head = _unzipped(body) if format_.compression == "gzip" else body
    begins = head.removeprefix(codecs.BOM_UTF8).lstrip(b"\0 \t\r\n")[:1]
    if format_.compression == "zstd" or begins not in {b"", b"{", b"["}:
        raise Problem(
            415,
            f"The request has no Content-Type, and its body does not begin as JSON; say Content-Type {_or(TYPES)}.",
            (b"accept-post", ", ".join(TYPES).encode()),
            title="Unsupported media type",
        )


def _unzipped(body: bytes) -> bytes:
    """The first bytes of gzip; none if it is damaged, which whoever reads it says."""
    try:
        return zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(body, _SNIFFED)
    except zlib.error:
        return b""


def _compression(encoding: str) -> Compression | None:
    if encoding not in ENCODINGS:
        names = [name for name in ENCODINGS if name and not name.startswith("x-")]
        raise Problem(
            415,
            f"A body is not taken in the encoding {encoding[:50]!r}; send it as {_or(names)}.",
            (b"accept-encoding", ", ".join(names).encode()),
            title="Unsupported encoding",
        )
    return ENCODINGS[encoding]


def _or(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}"


def _wrong(detail: str) -> Problem:
    return Problem(422, detail[0].upper() + detail[1:] + ".", title="Wrong parameter")
