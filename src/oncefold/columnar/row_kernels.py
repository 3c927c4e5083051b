"""The row inside an envelope, texts that mean missing, and keys of several fields, for plain records."""

from typing import Any

import numpy as np

from oncefold.columnar.field_kinds import EMPTY, FALSE, MISSING, NUMBER, OTHER, STRING, TRUE
from oncefold.columnar.parse_kernels import is_digit
from oncefold.columnar.primitives import MINUS, PLUS, POINT
from oncefold.columnar.row_plan import CLOUDEVENTS, DEBEZIUM, NOWHERE, ZERO_VERSION
from oncefold.kernels.byte_spans import equal_bytes
from oncefold.kernels.declare import inlined, kernel

NOT_PLAIN, LIVE, DELETED = 0, 1, 2
"""What becomes of a record: the scalar decoder reads it, or its row counts, or it is a delete."""

_C, _U, _R, _D = 99, 117, 114, 100
_INSERT, _MODIFY, _REMOVE = (np.frombuffer(name, np.uint8) for name in (b"INSERT", b"MODIFY", b"REMOVE"))


@kernel
def prepare(data: Any, fields: Any, rows: Any, keys: Any) -> int:
    """Put what the definition reads into its fields; whether the record is plain, and a delete by its envelope."""
    verdict, width = LIVE, rows.needed[2]
    if rows.needed[1] == DEBEZIUM:
        verdict = _debezium(data, fields, rows, keys)
    elif rows.needed[1] == CLOUDEVENTS:
        kinds = fields[0]
        if kinds[rows.control[0]] != STRING or kinds[rows.control[1]] != MISSING:
            return NOT_PLAIN
        _read_row(fields, rows, 0)
    elif rows.needed[1] != 0:
        verdict = _dynamodb(data, fields, rows, keys)
    if verdict == NOT_PLAIN or not _without_texts(data, fields, rows, width):
        return NOT_PLAIN
    _choose_keys(fields, rows)
    return verdict


@inlined
def _debezium(data: Any, fields: Any, rows: Any, keys: Any) -> int:
    kinds, starts, ends = fields
    control = rows.control
    wrapped = 3 if kinds[control[1]] == MISSING and kinds[control[0]] == OTHER else 0
    op, after, before = control[1 + wrapped], control[2 + wrapped], control[3 + wrapped]
    if kinds[op] != STRING or ends[op] - starts[op] != 1:
        return NOT_PLAIN
    operation = data[starts[op]]
    if operation not in (_C, _U, _R, _D):
        return NOT_PLAIN
    form = 2 if wrapped else 0
    if kinds[after] == OTHER:
        if kinds[before] == OTHER and operation != _D and not _same_key(data, fields, rows, keys, form, form + 1):
            return NOT_PLAIN
    elif kinds[after] == MISSING:
        form += 1
    else:
        return NOT_PLAIN
    _read_row(fields, rows, form)
    return DELETED if operation == _D else LIVE


@inlined
def _dynamodb(data: Any, fields: Any, rows: Any, keys: Any) -> int:
    kinds, starts, ends = fields
    control = rows.control
    item = kinds[control[8]]
    if item != MISSING:
        return LIVE if item == OTHER and _read_attributes(data, fields, rows, 6) else NOT_PLAIN
    verdict, form = NOT_PLAIN, 0
    if kinds[control[0]] == OTHER:
        verdict = _event_name(data, kinds[control[1]], starts[control[1]], ends[control[1]])
    elif kinds[control[0]] == MISSING and kinds[control[7]] == OTHER:
        verdict, form = (DELETED if kinds[control[5]] == MISSING else LIVE), 3
    new, old = kinds[control[2 + form]], kinds[control[3 + form]]
    if verdict == LIVE and new == OTHER and old == OTHER:
        for k in range(len(keys)):
            if keys[k] >= rows.needed[2] or not _same_attribute(data, fields, rows.candidates, keys[k], form):
                verdict = NOT_PLAIN
    image = 0
    while image < 2 and kinds[control[2 + form + image]] == MISSING:
        image += 1
    if kinds[control[2 + form + image]] != OTHER or verdict == NOT_PLAIN:
        return NOT_PLAIN
    return verdict if _read_attributes(data, fields, rows, form + image) else NOT_PLAIN


@inlined
def _event_name(data: Any, kind: int, start: int, end: int) -> int:
    """What INSERT, MODIFY or REMOVE make of a record."""
    if kind != STRING or end - start != len(_REMOVE):
        return NOT_PLAIN
    if equal_bytes(data, start, _REMOVE, 0, len(_REMOVE)):
        return DELETED
    if equal_bytes(data, start, _INSERT, 0, len(_INSERT)) or equal_bytes(data, start, _MODIFY, 0, len(_MODIFY)):
        return LIVE
    return NOT_PLAIN


@inlined
def _read_row(fields: Any, rows: Any, form: int) -> None:
    for f in range(rows.candidates.shape[0]):
        _copy(fields, rows.candidates[f, form], f)


@inlined
def _copy(fields: Any, source: int, target: int) -> None:
    kinds, starts, ends = fields
    kinds[target] = kinds[source]
    starts[target] = starts[source]
    ends[target] = ends[source]


@inlined
def _read_attributes(data: Any, fields: Any, rows: Any, form: int) -> bool:
    kinds, starts, ends = fields
    typed = rows.candidates.shape[1] - 1
    for f in range(rows.candidates.shape[0]):
        place = rows.candidates[f, form]
        if place == ZERO_VERSION:
            kinds[f] = EMPTY
        elif place == NOWHERE:
            kinds[f] = MISSING
        elif rows.candidates[f, typed] == 0:
            _copy(fields, place, f)
        else:
            source, kind = _attribute(data, kinds, starts, ends, place)
            if source < 0:
                return False
            _copy(fields, source, f)
            kinds[f] = kind
    return True


@inlined
def _attribute(data: Any, kinds: Any, starts: Any, ends: Any, place: int) -> Any:  # noqa: PLR0911 - one a type
    """(the field of an attribute's value, or -1 if it is not plain; its kind). Types follow on it: S, N, BOOL, NULL."""
    if kinds[place] == MISSING:
        return place, MISSING
    found = 0
    for k in range(1, 5):
        found += 1 if kinds[place + k] != MISSING else 0
    if kinds[place] != OTHER or found != 1:
        return np.int64(-1), MISSING
    if kinds[place + 1] == STRING:
        return place + 1, STRING
    if kinds[place + 2] == STRING and _is_number(data, starts[place + 2], ends[place + 2]):
        return place + 2, NUMBER
    if kinds[place + 3] == TRUE or kinds[place + 3] == FALSE:
        return place + 3, kinds[place + 3]
    if kinds[place + 4] == TRUE:
        return place + 4, MISSING
    return np.int64(-1), MISSING


@inlined
def _is_number(data: Any, i: int, end: int) -> bool:
    """Whether a text is a number as DynamoDB writes them, without an exponent."""
    if i < end and data[i] == MINUS:
        i += 1
    first, point = i, False
    while i < end:
        if data[i] == POINT and not point and i > first and i + 1 < end:
            point = True
        elif not is_digit(data[i]):
            break
        i += 1
    if i == first:
        return False
    if i < end and data[i] | 32 == 101 and is_digit(data[i - 1]):
        i += 1
        if i < end and (data[i] == PLUS or data[i] == MINUS):
            i += 1
        first = i
        while i < end and is_digit(data[i]):
            i += 1
        return i == end and i > first
    return i == end


@inlined
def _same_attribute(data: Any, fields: Any, candidates: Any, f: int, form: int) -> bool:
    """Whether a part of the key is the same in the new image and in the old one, or missing in the old one."""
    kinds, starts, ends = fields
    if candidates[f, candidates.shape[1] - 1] == 0:
        return True
    new, new_kind = _attribute(data, kinds, starts, ends, candidates[f, form])
    old, old_kind = _attribute(data, kinds, starts, ends, candidates[f, form + 1])
    if new < 0 or old < 0:
        return False
    return old_kind == MISSING or (old_kind == new_kind and _same_bytes(data, starts, ends, new, old))


@inlined
def _same_key(data: Any, fields: Any, rows: Any, keys: Any, new: int, old: int) -> bool:
    """Whether both forms have the same key, or the second lacks it; False also where it takes a closer look."""
    kinds, starts, ends = fields
    for k in range(len(keys)):
        if keys[k] >= rows.needed[2]:
            return False
        a, b = rows.candidates[keys[k], new], rows.candidates[keys[k], old]
        if kinds[b] != MISSING and (kinds[a] != kinds[b] or not _same_bytes(data, starts, ends, a, b)):
            return False
    return True


@inlined
def _same_bytes(data: Any, starts: Any, ends: Any, a: int, b: int) -> bool:
    size = ends[a] - starts[a]
    return size == ends[b] - starts[b] and equal_bytes(data, starts[a], data, starts[b], size)


@inlined
def _without_texts(data: Any, fields: Any, rows: Any, width: int) -> bool:
    """Let the texts that mean missing be so; False if one stands for a value that is not known."""
    kinds, starts, ends = fields
    for t in range(len(rows.text_ends) - 1):
        begin = rows.text_ends[t]
        size = rows.text_ends[t + 1] - begin
        for f in range(width):
            is_text = kinds[f] == STRING and ends[f] - starts[f] == size
            if is_text and equal_bytes(data, starts[f], rows.texts, begin, size):
                if rows.text_missing[t] == 0:
                    return False
                kinds[f] = MISSING
    return True


@inlined
def _choose_keys(fields: Any, rows: Any) -> None:
    kinds = fields[0]
    for part in range(rows.first_of.shape[0]):
        target = rows.first_of[part, 0]
        kinds[target] = MISSING
        for k in range(1, rows.first_of.shape[1]):
            source = rows.first_of[part, k]
            if source >= 0 and kinds[target] == MISSING and kinds[source] != EMPTY:
                _copy(fields, source, target)
