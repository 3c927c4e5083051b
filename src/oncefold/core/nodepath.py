r"""How nodes and composite keys are written: labels joined by `/`, the root as the empty text.

`\/` is a slash inside a label, `\\` a backslash, `\e` an empty label, and `\n`, `\r`, `\t` those control
characters, so that every path is one line and two different nodes never share one.
"""

import re
from collections.abc import Sequence

_ESCAPES = {"\\": "\\\\", "/": "\\/", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_MEANINGS = {"\\": "\\", "/": "/", "n": "\n", "r": "\r", "t": "\t", "e": ""}
_SPECIAL = re.compile(r"[\\/\n\r\t]")
_ODD = re.compile(r"[\\\n\r\t]")
_TOKEN = re.compile(r"\\(.?)|(/)|([^\\/]+)", re.DOTALL)


def escape(label: str) -> str:
    """One label as a path segment."""
    return _SPECIAL.sub(lambda m: _ESCAPES[m[0]], label) if label else "\\e"


def join(labels: Sequence[str]) -> str:
    """The path of the node at these labels."""
    plain = "/".join(labels)
    if "" in labels or plain.count("/") != len(labels) - 1 or _ODD.search(plain):
        return "/".join(map(escape, labels))
    return plain


def split(path: str) -> tuple[str, ...]:
    """The labels of a path; the inverse of `join`. Raises ValueError with the reason."""
    if not path:
        return ()
    labels: list[str] = []
    current: list[str] | None = None
    for escaped, slash, plain in _TOKEN.findall(path):
        if slash:
            labels.append(_closed(path, current))
            current = None
        elif plain:
            current = [*(current or []), plain]
        elif escaped in _MEANINGS and escaped:
            current = [*(current or []), _MEANINGS[escaped]]
        else:
            raise ValueError(f"{path!r}: \\{escaped} is not an escape; a backslash is written \\\\")
    labels.append(_closed(path, current))
    return tuple(labels)


def _closed(path: str, parts: list[str] | None) -> str:
    if parts is None:
        raise ValueError(f"{path!r} has an empty part; an empty label is written \\e")
    return "".join(parts)
