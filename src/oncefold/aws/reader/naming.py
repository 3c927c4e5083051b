"""What a person may mean by a node that is not there."""

import difflib
from collections.abc import Iterable

from oncefold.core.errors import QuestionError
from oncefold.core.nodepath import escape, join

_SHOWN_LABELS = 10


def no_such_node(above: tuple[str, ...], label: str, children: Iterable[str]) -> QuestionError:
    """The error for a label that is not among a node's children; it names those that are near."""
    known = [escape(child) for child in children]
    where = f"below {join(above)}" if above else "at the top"
    words = f"there is no node {join((*above, label))}"
    if not known:
        return QuestionError(f"{words}: nothing is {where}")
    near = difflib.get_close_matches(escape(label), known, 3)
    if near:
        prefix = f"{join(above)}/" if above else ""
        return QuestionError(f"{words}; did you mean {' or '.join(prefix + found for found in near)}?")
    more = ", ..." if len(known) > _SHOWN_LABELS else ""
    return QuestionError(f"{words}: {where} there is {', '.join(known[:_SHOWN_LABELS])}{more}")
