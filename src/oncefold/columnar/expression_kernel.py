"""A stack machine for expressions over one record. What it computes equals `core.evaluate`; the rest it calls unknown.

All branches of a CASE are computed; what is unknown in one that is not taken does not matter. Results are written as
fields of the record: numbers and times as their text behind the block, NULL as a missing field, truth values as text,
and what is unknown as OTHER, which sends a record that needs it to the scalar decoder.
"""

from typing import Any

import numpy as np

from oncefold.columnar.assemble import assemble
from oncefold.columnar.batch import SCANNED
from oncefold.columnar.expression_logic import logic
from oncefold.columnar.expression_numbers import arithmetic, extract
from oncefold.columnar.expression_plan import (
    BOOLEAN_VALUE,
    CONSTANT,
    FAIL,
    FALSE_AT,
    LOAD,
    NULL,
    NUMBER_VALUE,
    OPS,
    RAW_VALUE,
    TEXT_VALUE,
    TEXTS_END,
    TRUE_AT,
    UNKNOWN,
    Programs,
)
from oncefold.columnar.expression_stack import (
    FROM,
    PLACES,
    STACK_COLUMNS,
    TO,
    VALUE,
    WHAT,
    load,
    push_constant,
    set_value,
)
from oncefold.columnar.expression_texts import texts, written
from oncefold.columnar.field_kinds import MISSING, NUMBER, OTHER, STRING
from oncefold.columnar.leaves import leaf_scratch
from oncefold.columnar.plan import DecodePlan
from oncefold.columnar.primitives import shift_of
from oncefold.kernels.declare import kernel

_TO_DECIMAL = OPS["to_decimal"]
_LEAST = OPS["least"]
_YEAR = OPS["extract year"]
_GONE = False
"""No envelope makes a record with expressions a delete: the scalar decoder reads those in envelopes."""


def derive_scratch(plan: DecodePlan, programs: Programs) -> tuple[Any, ...]:
    """Scratch space for `derive_rows`: fields (kinds, starts, ends), encoded leaf, stack."""
    width = int(programs.first[0]) + len(programs.ends)
    fields = (np.zeros(width, np.int64), np.zeros(width, np.int64), np.zeros(width, np.int64))
    return fields, leaf_scratch(len(plan.levels)), np.zeros((len(programs.code) + 1, STACK_COLUMNS), np.int64)


@kernel(
    "const u8[], u8[], i64[]",
    DecodePlan,
    Programs,
    "(i64[,], i64[,], i64[,]), (i64[], i32[], i64[,], i64[]), (i64[], i32[], u32[], u8[], i64[], const u64[])",
    "(u64[], u8[], i64[], const u64[]), ((i64[], i64[], i64[]), (u8[], i64[,]), i64[,])",
    returns="i64",
)
def derive_rows(
    data: Any,
    area: Any,
    used: Any,
    plan: Any,
    programs: Any,
    found: Any,
    columns: Any,
    keys: Any,
    table: Any,
    scratch: Any,
) -> int:
    """Compute the expressions of every SCANNED record, and fill its row; gives the number of distinct leaves."""
    fields, encoded, stack = scratch
    kinds, starts, ends = fields
    leaf = columns[1]
    shift = shift_of(table[0])
    count = 0
    for r in range(len(leaf)):
        if leaf[r] == SCANNED:
            for part in range(found[0].shape[1]):
                kinds[part] = found[0][r, part]
                starts[part] = found[1][r, part]
                ends[part] = found[2][r, part]
            _derive(data, area, used, fields, programs, stack)
            count = assemble(data, fields, plan, _GONE, r, columns, keys, table, count, encoded, shift)
    return count


@kernel
def _derive(data: Any, area: Any, used: Any, fields: Any, programs: Any, stack: Any) -> None:
    """Compute every expression of a record from its fields (kinds, starts, ends), and write the results among them.

    `area` is the end of `data`, behind the block, begins with the pool of texts, and is filled up to used[0].
    """
    kinds, starts, ends = fields
    code, stops, constants, first, _ = programs
    base = np.int64(len(data) - len(area))
    step = np.int64(0)
    for number in range(len(stops)):
        top = np.int64(0)
        while step < stops[number]:
            op, a, b = code[step, 0], code[step, 1], code[step, 2]
            step += 1
            if op == LOAD:
                load(data, base, kinds[a], starts[a], ends[a], b, stack, top)
                top += 1
            elif op == CONSTANT:
                push_constant(constants, a, base, stack, top)
                top += 1
            elif op == FAIL:
                set_value(stack, top, UNKNOWN, 0, 0)
                top += 1
            elif op <= _TO_DECIMAL:
                top = arithmetic(data, op, a, b, stack, top)
            elif op <= _LEAST:
                top = logic(data, op, a, stack, top)
            elif op < _YEAR:
                top = texts(data, area, used, base, op, a, stack, top)
            else:
                extract(op, stack, top - 1)
        field = first[0] + number
        kinds[field], starts[field], ends[field] = _result(area, used, base, stack)


@kernel
def _result(area: Any, used: Any, base: int, stack: Any) -> Any:
    """(kind, start, end) of the value at the bottom of the stack, as a field."""
    what = stack[0, WHAT]
    if what == NULL:
        return np.int64(MISSING), np.int64(0), np.int64(0)
    if what == TEXT_VALUE:
        return np.int64(STRING), stack[0, FROM], stack[0, TO]
    if what == RAW_VALUE:
        return stack[0, VALUE], stack[0, FROM], stack[0, TO]
    if what == BOOLEAN_VALUE:
        truth = stack[0, VALUE] == 1
        start, end = (TRUE_AT, FALSE_AT) if truth else (FALSE_AT, TEXTS_END)
        return np.int64(STRING), base + start, base + end
    if what == UNKNOWN:
        return np.int64(OTHER), np.int64(0), np.int64(0)
    start, end = written(area, used, what, stack[0, VALUE], stack[0, PLACES])
    if start < 0:
        return np.int64(OTHER), np.int64(0), np.int64(0)
    return np.int64(NUMBER if what == NUMBER_VALUE else STRING), base + start, base + end
