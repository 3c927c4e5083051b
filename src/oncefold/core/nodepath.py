r"""How nodes and composite keys are written: labels joined by `/`, the root as the empty text.

`\/` is a slash inside a label, `\\` a backslash, `\e` an empty label, and `\n`, `\r`, `\t` those control
characters, so that every path is one line and two different nodes never share one.
"""

import re
from collections.abc import Iterable, Sequence

from oncefold.core.errors import similar_names

_SHOWN_LABELS = 10

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


def no_such_node(above: Sequence[str], label: str, children: Iterable[str]) -> str:
    """What to say of a label that is not among the children of the node `above`: those that read alike, or some."""
    known = [escape(child) for child in children]
    where = f"below {join(above)}" if above else "at the top"
    missing = f"there is no node {join((*above, label))}"
    if not known:
        return f"{missing}: nothing is {where}"
    if near := similar_names(escape(label), known, 3):
        prefix = f"{join(above)}/" if above else ""
        return f"{missing}; did you mean {' or '.join(prefix + found for found in near)}?"
    more = ", ..." if len(known) > _SHOWN_LABELS else ""
    return f"{missing}: {where} there is {', '.join(known[:_SHOWN_LABELS])}{more}"
