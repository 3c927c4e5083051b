"""Records as the decoder sees them: a value by the path of its field, from nested objects, rows or cells."""

from collections import Counter
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NoReturn

from oncefold.core.decimals import shown
from oncefold.core.errors import InvalidEvent
from oncefold.core.expression import Expression, Field, Source
from oncefold.core.fieldpath import FieldPath
from oncefold.core.values import Number


class ObjectPairs(dict[str, Any]):
    """A JSON object, or a row, that records which names occur in it more than once."""

    __slots__ = ("twice",)

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.twice: frozenset[str] = frozenset()
        if len(self) != len(pairs):
            self.twice = frozenset(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)


class Record:
    """A record with lookup by path; None is missing. `empty` says what an empty cell of a CSV counts as."""

    derived: Mapping[Expression, Callable[["Record"], Any]] = MappingProxyType({})
    """How each expression is computed."""
    readers: Mapping[str, Callable[[Any, FieldPath], Any]] = MappingProxyType({})
    """How expressions read a field as a value of a kind."""

    def get(self, source: Source, empty: str | None = "") -> Any:
        """The value of a field, or of an expression in the form of a field's. Raises InvalidEvent."""
        return self.derived[source](self) if isinstance(source, Expression) else self.field(source, empty)

    def field(self, field: FieldPath, empty: str | None = "") -> Any:
        """The value at a path. Raises InvalidEvent where it is not clear which value is meant."""
        raise NotImplementedError

    def read(self, field: Field) -> Any:
        """A field as an expression reads it; None is NULL. Raises InvalidEvent."""
        value = self.field(field.path, "" if field.kind in {"raw", "text"} else None)
        if value is None or field.kind == "raw":
            return value
        return self.readers[field.kind](value, field.path)


class NestedRecord(Record):
    """Objects in objects; what is no object has no fields."""

    def __init__(self, values: Any) -> None:
        self._values = values

    def field(self, field: FieldPath, empty: str | None = "") -> Any:  # noqa: ARG002
        """The value at a path."""
        value: Any = self._values
        for segment in field.segments:
            if not isinstance(value, Mapping):
                return None
            value = member(value, segment, field)
        return value


class CellRecord(Record):
    """A row of text cells by the names of their columns."""

    def __init__(self, cells: ObjectPairs) -> None:
        self._cells = cells

    def field(self, field: FieldPath, empty: str | None = "") -> Any:
        """The value at a path."""
        if field.column in self._cells.twice:
            refuse(field, f"the name {shown(field.column)} occurs twice in the header")
        return self._cells.get(field.column) or (empty if field.column in self._cells else None)


class TableRecord(NestedRecord):
    """A row of a typed table: a dotted path is a column of that name, else a nested field."""

    def field(self, field: FieldPath, empty: str | None = "") -> Any:
        """The value at a path."""
        return self._values[field.column] if field.column in self._values else super().field(field, empty)


class RecordWithout(Record):
    """A record in which some texts mean that the field is missing, and some that its value is not known."""

    def __init__(self, record: Record, missing: frozenset[str], unknown: Mapping[str, str]) -> None:
        self._record, self._missing, self._unknown = record, missing, unknown

    def field(self, field: FieldPath, empty: str | None = "") -> Any:
        """The value at a path."""
        value = self._record.field(field, empty)
        if isinstance(value, str) and not isinstance(value, Number):
            if value in self._missing:
                return None
            if value in self._unknown:
                refuse(field, self._unknown[value])
        return value


def member(values: Mapping[str, Any], name: str, field: FieldPath | None = None) -> Any:
    """The value of a name in an object, None without. Raises InvalidEvent if the name occurs twice in it."""
    if isinstance(values, ObjectPairs) and name in values.twice:
        refuse(field or FieldPath((name,)), f"the name {shown(name)} occurs twice in one object")
    return values.get(name)


def refuse(field: Source, reason: str) -> NoReturn:
    """Raises InvalidEvent with the field and the reason."""
    raise InvalidEvent(f"field {field}: {reason}")
