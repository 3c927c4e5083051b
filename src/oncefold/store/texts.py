"""The texts that keys keep, by their codes: a table of segments as that of the keys is."""

from collections.abc import Iterator
from functools import cached_property

import pyarrow as pa

from oncefold.arrow import index_of
from oncefold.core.errors import QueryError
from oncefold.store.connection import Connection
from oncefold.store.errors import DamagedError
from oncefold.store.segments import Segment, SegmentTable, texts_table

NO_TEXT = -1
"""The code of NULL."""


class TextReader:
    """Finds texts by their codes; segments that were read are kept."""

    def __init__(self, connection: Connection) -> None:
        self._table = texts_table(connection)
        self._read: dict[int, pa.Array] = {}

    @cached_property
    def _segments(self) -> list[Segment]:
        return self._table.stored()

    def text(self, code: int) -> str | None:
        """The text of a code; None for NULL. Raises DamagedError for a code that no text has."""
        if code < 0:
            return None
        for segment in self._segments:
            if segment.first <= code <= segment.last:
                if segment.first not in self._read:
                    self._read[segment.first] = self._table.read(segment).column(0)
                raw: bytes = self._read[segment.first][code - segment.first].as_py()
                return raw.decode()
        raise DamagedError(f"the text {code} of a key is missing")

    def code(self, text: str) -> int:
        """The code of a text. Raises QueryError if no key ever had it."""
        for segment in self._segments:
            index = index_of(self._table.read(segment).column(0), text.encode())
            if index >= 0:
                return segment.first + index
        raise QueryError(f"no key ever had the value {text!r}")


def read_texts(table: SegmentTable) -> Iterator[pa.Array]:
    """All texts in order of their codes, piece by piece."""
    for segment in table.stored():
        yield table.read(segment).column(0)
