"""Where the row is inside an envelope, as numbers of fields: every form of the envelope has a place for each field."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from oncefold.columnar.arrays import Int64Rows, Int64s, UInt8s
from oncefold.core.definition import FirstOf, Pipeline
from oncefold.core.envelope import DYNAMODB_VERSION, UNKNOWN_TEXTS
from oncefold.core.expression import Source
from oncefold.core.fieldpath import FieldPath

NO_ENVELOPE, DEBEZIUM, DYNAMODB, CLOUDEVENTS = 0, 1, 2, 3
ATTRIBUTE_TYPES = ("S", "N", "BOOL", "NULL")
"""Types of DynamoDB's attributes that are values; each attribute has a place of its own and one for each of them."""
NOWHERE, ZERO_VERSION = -1, -2

_Path = tuple[str, ...]
_NUMBERS = {None: NO_ENVELOPE, "debezium": DEBEZIUM, "dynamodb": DYNAMODB, "cloudevents": CLOUDEVENTS}
_CONTROL: dict[int, tuple[_Path, ...]] = {
    NO_ENVELOPE: (),
    DEBEZIUM: (
        ("payload",),
        *((*wrapper, name) for wrapper in ((), ("payload",)) for name in ("op", "after", "before")),
    ),
    DYNAMODB: (
        ("dynamodb",),
        ("eventName",),
        *((*wrapper, name) for wrapper in (("dynamodb",), ()) for name in ("NewImage", "OldImage", "Keys")),
        ("Item",),
    ),
    CLOUDEVENTS: (("specversion",), ("data_base64",)),
}
"""What says which form a record has; the row kernels know them by their order."""
_ROOTS: dict[int, tuple[_Path, ...]] = {
    DEBEZIUM: (("after",), ("before",), ("payload", "after"), ("payload", "before")),
    DYNAMODB: (*_CONTROL[DYNAMODB][2:8], ("Item",)),
    CLOUDEVENTS: (("data",),),
}
"""Where the row is, form by form."""


class RowPlan(NamedTuple):
    """Where the row of an envelope is, which texts mean missing, and what a key may be read from instead."""

    needed: Int64s
    """(1 if there is any of this, the envelope's number, how many of the fields are the definition's)."""
    control: Int64s
    """The fields that say what is in the envelope."""
    candidates: Int64Rows
    """Shape (fields, forms of the envelope + 1): where each field is read from, or NOWHERE; 1 for a typed attribute."""
    texts: UInt8s
    text_ends: Int64s
    text_missing: Int64s
    """Per text 1 if it means missing; 0 if the scalar decoder has to say why not."""
    first_of: Int64Rows
    """Rows of (where a key is put, the fields that it may be read from, -1 after them)."""


def envelope_paths(pipeline: Pipeline) -> list[_Path]:
    """What is looked for in a record inside an envelope; nothing without one."""
    return _layout(pipeline)[0]


def row_plan(pipeline: Pipeline, number: Mapping[Source | FirstOf, int], fields: Mapping[FieldPath, int]) -> RowPlan:
    """What stands between a record's fields and the definition's."""
    first = 1 + max(number.values(), default=-1)
    _, control, candidates = _layout(pipeline)
    texts = [(text.encode(), 1) for text in pipeline.missing_texts]
    if pipeline.envelope == "debezium":
        texts += [(text.encode(), 0) for text in UNKNOWN_TEXTS if text not in pipeline.missing_texts]
    parts = [part for part in pipeline.key if isinstance(part, FirstOf)]
    widest = max((len(part.fields) for part in parts), default=0)
    first_of = [
        [number[part], *(number[field] for field in part.fields), *[-1] * (widest - len(part.fields))] for part in parts
    ]
    shifted = [[at + first if at >= 0 else at for at in row[:-1]] + row[-1:] for row in candidates]
    needed = bool(texts or parts or pipeline.envelope)
    return RowPlan(
        needed=np.array([int(needed), _NUMBERS[pipeline.envelope], 1 + max(fields.values(), default=-1)], np.int64),
        control=np.array([*(at + first for at in control), 0], np.int64),
        candidates=np.array(shifted, np.int64).reshape(len(shifted), len(shifted[0]) if shifted else 1),
        texts=np.frombuffer(b"".join(text for text, _ in texts) + bytes(8), np.uint8),
        text_ends=np.cumsum([0, *(len(text) for text, _ in texts)]).astype(np.int64),
        text_missing=np.array([*(missing for _, missing in texts), 0], np.int64),
        first_of=np.array(first_of, np.int64).reshape(len(parts), widest + 1),
    )


def _layout(pipeline: Pipeline) -> tuple[list[_Path], list[int], list[list[int]]]:
    """(paths, which of them are the control fields, the candidates of each field)."""
    kind = _NUMBERS[pipeline.envelope]
    paths: dict[_Path, int] = {}

    def at(path: _Path) -> int:
        return paths.setdefault(path, len(paths))

    control = [at(path) for path in _CONTROL[kind]]
    fields = pipeline.fields if kind != NO_ENVELOPE else ()
    of_row = {}
    for field in fields:
        if not field.segments[0].startswith("@"):  # before the others: the types of an attribute follow on it
            typed = kind == DYNAMODB
            places = [_attribute((*root, *_typed(field)), at) if typed else at((*root, *field.segments))
                      for root in _ROOTS[kind]]  # fmt: skip
            of_row[field] = [*places, int(typed)]
    candidates = [of_row.get(field) or _of_envelope(kind, field, at) for field in fields]
    return list(paths), control, candidates


def _of_envelope(kind: int, field: FieldPath, at: Callable[[_Path], int]) -> list[int]:
    name, *rest = field.segments
    return [*(_place_in_envelope(kind, (name[1:], *rest), form, at) for form in range(len(_ROOTS[kind]))), 0]


def _place_in_envelope(kind: int, path: _Path, form: int, at: Callable[[_Path], int]) -> int:
    """A field of the envelope itself."""
    if kind == DYNAMODB and path == (DYNAMODB_VERSION,):
        if form == len(_ROOTS[kind]) - 1:
            return ZERO_VERSION
        streamed = form < len(("NewImage", "OldImage", "Keys"))
        return at(("dynamodb", "SequenceNumber") if streamed else ("Metadata", "WriteTimestampMicros", "N"))
    return at(("payload", *path) if kind == DEBEZIUM and form >= len(("after", "before")) else path)


def _typed(field: FieldPath) -> _Path:
    """The path of an attribute: nested ones are in maps."""
    *parents, last = field.segments
    return (*(name for parent in parents for name in (parent, "M")), last)


def _attribute(path: _Path, at: Callable[[_Path], int]) -> int:
    """The place of an attribute; those of its types follow on it."""
    place = at(path)
    for kind in ATTRIBUTE_TYPES:
        at((*path, kind))
    return place
