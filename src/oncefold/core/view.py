"""Views: the totals of one definition from contents that are kept under another. Pure.

A key's content is kept with the labels and columns of the definition under which it was decoded. Another definition has
totals of the same contents if it asks for nothing else, and takes and ranks every event as that one does: then its
totals are those that it would have had from the beginning.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from oncefold.core.definition import Level, Pipeline
from oncefold.core.definition_changes import event_changes
from oncefold.core.errors import DefinitionError
from oncefold.core.event import Content
from oncefold.core.fold import Stored
from oncefold.core.measures import KeyColumn

ONE = -1
"""In the place of a column's number: the number 1 for every key."""


@dataclass(frozen=True, slots=True)
class View:
    """A definition, and where it finds its columns among those that are kept."""

    pipeline: Pipeline
    columns: tuple[int, ...] | None = None
    """For each column the number of the kept one, or ONE; None if they are the kept ones."""

    def stored(self, kept: Stored) -> Stored:
        """A key's state as the definition has it."""
        if self.columns is None or kept.content.labels is None:
            return kept
        measures = kept.content.measures
        values = tuple(1 if column == ONE else measures[column] for column in self.columns)
        return Stored(kept.version, Content(kept.content.labels, values))

    def seen(self, kept: Stored | None) -> Stored | None:
        """The same of a key that may have no state."""
        return None if kept is None else self.stored(kept)


def view_of(kept: Pipeline, wanted: Pipeline) -> View:
    """How `wanted` has the contents that are kept under `kept`.

    Raises DefinitionError if their totals would not be those of `wanted` from the same events, with every reason.
    """
    reasons = [*event_changes(kept, wanted), *_level_reasons(kept, wanted), *_column_reasons(kept, wanted)]
    if kept.time != wanted.time:
        reasons.append("[event] time has changed: deploy that change for itself")
    columns = tuple(_find(kept, column) for column in wanted.columns)
    found = [column for column in columns if column is not None]
    if not reasons and not _in_order(kept, found):
        reasons.append(
            "[measures] are in another order, which decides between events that contradict each other: put the added "
            "ones behind those that were there"
        )
    if reasons:
        raise DefinitionError(f"its totals cannot be made of what each key keeps: {'; '.join(reasons)}")
    return View(wanted, None if wanted.columns == kept.columns else tuple(found))


def _level_reasons(kept: Pipeline, wanted: Pipeline) -> Iterator[str]:
    has = ", ".join(level.name for level in kept.levels) or "none"
    for rollup in wanted.rollups:
        for level in rollup.levels:
            if level not in kept.levels:
                yield f"[rollups] {rollup.name}: {_lacking(kept, level)}; the labels of a key are {has}"
    gone = [level.name for level in kept.levels if level not in wanted.levels]
    if gone:
        yield (
            f"[rollups] no tree has {', '.join(gone)} any more, so that events without it, which were rejected, would "
            "count: keep a tree that has it"
        )
    elif set(wanted.levels) == set(kept.levels) and wanted.levels != kept.levels:
        yield (
            "[rollups] mention their levels in another order, which decides between events that contradict each other: "
            "put the added trees behind those that were there"
        )


def _lacking(kept: Pipeline, level: Level) -> str:
    if any(replace(other, missing=None) == replace(level, missing=None) for other in kept.levels):
        return f"what a missing {level.name} means has changed: deploy that change for itself"
    return f"keys are kept without {level.name}"


def _column_reasons(kept: Pipeline, wanted: Pipeline) -> Iterator[str]:
    has = ", ".join(dict.fromkeys(map(_text, kept.columns))) or "none"
    for measure, place in zip(wanted.measures, wanted.layout.places, strict=True):
        width = 2 if measure.kind == "avg" else 1
        for column in wanted.columns[place.column : place.column + width]:
            if _find(kept, column) is None:
                yield f"[measures] {measure.name}: keys are kept without {_text(column)}; their numbers are {has}"
    for measure, place in zip(kept.measures, kept.layout.places, strict=True):
        if kept.columns[place.column] not in wanted.columns:
            yield (
                f"[measures] {measure.name} is gone or is another one, so that events that were rejected for it would "
                "count: keep it"
            )


def _find(kept: Pipeline, column: KeyColumn) -> int | None:
    """The number of the kept column that always is the same number, or ONE; None if there is none."""
    if column in kept.columns:
        return kept.columns.index(column)
    for index, other in enumerate(kept.columns):
        always = other.form == "number" and other.missing == "reject" and other.field == column.field
        if always and column.form == "present":
            return ONE
        if always and column.missing == "zero" and replace(other, missing="zero") == column:
            return index
    return None


def _in_order(kept: Pipeline, columns: list[int]) -> bool:
    """Whether contents are ranked by these columns as by the kept ones."""
    first = dict.fromkeys(column for column in columns if column != ONE)
    return list(first) == list(dict.fromkeys(map(kept.columns.index, kept.columns)))


def _text(column: KeyColumn) -> str:
    if column.form in {"present", "true"}:
        return f"whether {column.field} is {'there' if column.form == 'present' else 'true'}"
    rules = [f"scale {column.scale}", *(["rounded"] if column.round else [])]
    return f"{column.field} ({', '.join([*rules, f'missing = {column.missing}'])})"
