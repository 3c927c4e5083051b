"""Sets of leaves: what stands in the place of one label at a level that is filled for each element of an array.

Such a level holds all labels of an event, in one text: each label, a NUL and an end mark; a NUL inside a label is
written as a NUL and another mark. So a leaf stays one text per level, and two of these texts compare as the lists of
their labels do. Levels of one array hold as many labels each, those of one element at the same position; elements are
sorted by their labels, level by level, and each is there once.
"""

from collections.abc import Iterable, Sequence
from itertools import chain, product

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


def paths(arrays: Slots, labels: tuple[str, ...], levels: Sequence[int]) -> list[tuple[str, ...]]:
    """The labels of these levels in each leaf of a set, each path once: each element of an array with each of others.

    Of arrays that fill other levels alone nothing depends.
    """
    if not arrays:
        return [tuple(labels[level] for level in levels)]
    filled = [[level for level in array if level in levels] for array in arrays]
    columns = [zip(*(unpack(labels[level]) for level in of_array), strict=True) for of_array in filled if of_array]
    if not columns:
        return [tuple(labels[level] for level in levels)]
    slots = [levels.index(level) for of_array in filled for level in of_array]
    found = []
    for elements in product(*map(dict.fromkeys, columns)):
        path = [labels[level] for level in levels]
        for slot, label in zip(slots, chain.from_iterable(elements), strict=True):
            path[slot] = label
        found.append(tuple(path))
    return found


def shown(arrays: Slots, labels: tuple[str, ...]) -> str:
    """A leaf as people read it: one path of all levels, with the labels of an array's elements in parentheses."""
    found = by_level(arrays, labels)
    return nodepath.join([label if isinstance(label, str) else _listed(label) for label in found])


def _listed(labels: Sequence[str]) -> str:
    return labels[0] if len(labels) == 1 else f"({', '.join(labels)})"


def by_level(arrays: Slots, labels: tuple[str, ...]) -> tuple[str | tuple[str, ...], ...]:
    """One label per level, or all labels of a level that has several, by position."""
    packed = {level for levels in arrays for level in levels}
    return tuple(unpack(label) if level in packed else label for level, label in enumerate(labels))
