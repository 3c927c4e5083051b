"""Small bodies: those that are taken as a whole, and of them those that can be joined with others."""

import codecs
from typing import Final

from oncefold.serve.ingest.document import lines_of
from oncefold.serve.ingest.forms import Form
from oncefold.serve.ingest.gate import Limits
from oncefold.serve.ingest.thinning import is_dense

SMALL_BYTES: Final = 64 * 2**10
"""A body up to this size is taken as a whole."""


def small_bytes(limits: Limits) -> int:
    """The most bytes of a body that a server with such limits takes as a whole."""
    return min(SMALL_BYTES, limits.max_line)


def plain_lines(form: Form, body: bytes) -> bytes | None:
    """The body as JSON Lines, if it can be joined with others; None if it has to be read by itself."""
    if form.compression is not None or body.startswith(codecs.BOM_UTF8):
        return None
    if form.kind not in {"lines", "document"}:
        return None
    lines = body if form.kind == "lines" else lines_of(body)
    return None if lines is None or is_dense(lines) else lines
