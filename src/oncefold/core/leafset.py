"""Sets of leaves: what stands in the place of one label at a level that is filled for each element of an array.

Such a level holds all labels of an event, in one text: each label, a NUL and an end mark; a NUL inside a label is
written as a NUL and another mark. So a leaf stays one text per level, and two of these texts compare as the lists of
their labels do. Levels of one array hold as many labels each, those of one element at the same position; elements are
sorted by their labels, level by level, and each is there once.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import product

from oncefold.core import nodepath

Slots = Sequence[Sequence[int]]
"""Of each array the levels that are filled from it: indexes within `Pipeline.levels`."""

END = "\0\1"
"""Behind each label."""
_NUL = "\0\2"


def pack(labels: Iterable[str]) -> str:
    """Labels as the text of one level, in their order."""
    return "".join((label.replace("\0", _NUL) if "\0" in label else label) + END for label in labels)


def unpack(text: str) -> tuple[str, ...]:
    """The labels of such a text."""
    parts = text.split(END)[:-1]
    return tuple(part.replace(_NUL, "\0") if "\0" in part else part for part in parts)


def leaves(arrays: Slots, labels: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Every single leaf of a set: each element of one array with each of the others."""
    if not arrays:
        yield labels
        return
    columns = {level: unpack(labels[level]) for levels in arrays for level in levels}
    for chosen in product(*(range(len(columns[levels[0]])) for levels in arrays)):
        leaf = list(labels)
        for levels, at in zip(arrays, chosen, strict=True):
            for level in levels:
                leaf[level] = columns[level][at]
        yield tuple(leaf)


def paths(arrays: Slots, labels: tuple[str, ...], levels: Sequence[int]) -> list[tuple[str, ...]]:
    """The labels of these levels in each leaf of a set, each path once, in the order of the leaves."""
    if not arrays:
        return [tuple(labels[level] for level in levels)]
    return list(dict.fromkeys(tuple(leaf[level] for level in levels) for leaf in leaves(arrays, labels)))


def shown(arrays: Slots, labels: tuple[str, ...], levels: Sequence[int] | None = None) -> str:
    """A leaf as people read it: its path, of a set all paths with a comma between them."""
    wanted = range(len(labels)) if levels is None else levels
    return ", ".join(map(nodepath.join, paths(arrays, labels, wanted)))


def by_level(arrays: Slots, labels: tuple[str, ...]) -> tuple[str | tuple[str, ...], ...]:
    """One label per level, or all labels of a level that has several, by position."""
    packed = {level for levels in arrays for level in levels}
    return tuple(unpack(label) if level in packed else label for level, label in enumerate(labels))
