"""A JSON document, an object or an array of objects, turned into JSON Lines in place, chunk by chunk.

Every byte stays where it is: the array's brackets become a blank and a newline, the commas between its elements
newlines, and newlines within an element blanks. So an element is a line, of any size, and its position is that in the
body. Whether an element is an event, or JSON at all, is for the decoder; only the array itself is judged here. A raw
newline inside a string, which JSON forbids, becomes another character that it forbids.
"""

from typing import Final

import numpy as np

from oncefold.serve.ingest import document_scan as scan

_FAULTS: Final = {
    scan.NO_DOCUMENT: "it begins neither with { nor with [",
    scan.NO_ELEMENT: "an element is missing between commas or brackets",
    scan.UNBALANCED: "a bracket closes what was not opened",
    scan.MORE: "something stands after its end; send objects as an array, or one a line as application/x-ndjson",
}


class Document:
    """One document, as far as it was read."""

    def __init__(self) -> None:
        self._now = np.zeros(scan.FIELDS, np.int64)

    def turn(self, chunk: memoryview) -> tuple[int, str]:
        """Turn the next bytes, which can be written; (how many, ""), or before a fault fewer, and its words."""
        done, fault = scan.turn(np.frombuffer(chunk, np.uint8), self._now)
        if fault == scan.FINE:
            return done, ""
        return done, f"the body is not JSON: at byte {int(self._now[scan.READ]):,} {_FAULTS[fault]}"

    def missing(self) -> str:
        """What is missing if the body ends here, in words; empty if nothing is."""
        where = int(self._now[scan.WHERE])
        if where == scan.DONE:
            return ""
        if where == scan.START:
            return "the body is empty; send an object, or an array of objects"
        return f"the body is cut short: its {'object' if where == scan.OBJECT else 'array'} does not end"


def lines_of(body: bytes) -> bytes | None:
    """A whole document as JSON Lines; None if it is malformed."""
    document, lines = Document(), bytearray(body)
    _, fault = document.turn(memoryview(lines))
    return None if fault or document.missing() else bytes(lines)
