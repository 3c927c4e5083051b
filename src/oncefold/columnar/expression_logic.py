"""Comparisons, truth values and choices of the machine for expressions."""

from typing import Any

import numpy as np

from oncefold.columnar.expression_plan import BOOLEAN_VALUE, NULL, OPS, UNKNOWN
from oncefold.columnar.expression_stack import STACK_COLUMNS, VALUE, WHAT, compare, set_value, without_value
from oncefold.kernels.declare import kernel

_UNEQUAL = OPS["<>"]
_LESS = OPS["<"]
_AT_MOST = OPS["<="]
_MORE = OPS[">"]
_AT_LEAST = OPS[">="]
_AND, _OR, _NOT, _IN, _IS_NULL, _IS_TRUE = (OPS[op] for op in ("and", "or", "not", "in", "is null", "is true"))
_CASE, _COALESCE, _NULLIF, _GREATEST, _LEAST = (OPS[op] for op in ("case", "coalesce", "nullif", "greatest", "least"))


@kernel
def logic(data: Any, op: int, size: int, stack: Any, top: int) -> int:
    """Comparisons, truth values and choices among values; gives the new top."""
    at = top - size
    if op in (_AND, _OR):
        _junction(op, stack, at, top)
    elif op in (_CASE, _COALESCE):
        _choose(op, stack, at, top)
    elif op == _IN:
        _within(data, stack, at, top)
    elif op in (_IS_NULL, _IS_TRUE):
        if stack[at, WHAT] != UNKNOWN:
            truth = stack[at, WHAT] == NULL
            if op == _IS_TRUE:
                truth = stack[at, WHAT] == BOOLEAN_VALUE and stack[at, VALUE] == 1
            set_value(stack, at, BOOLEAN_VALUE, np.int64(truth), 0)
    elif op == _NOT:
        if stack[at, WHAT] == BOOLEAN_VALUE:
            stack[at, VALUE] = 1 - stack[at, VALUE]
    elif op in (_GREATEST, _LEAST):
        _extreme(data, op, stack, at, top)
    elif op == _NULLIF:
        if without_value(stack, at, top) < 0:
            known, order = compare(data, stack, at, at + 1)
            if not known or order == 0:
                stack[at, WHAT] = NULL if known else UNKNOWN
        elif stack[at + 1, WHAT] == UNKNOWN:
            stack[at, WHAT] = UNKNOWN
    else:
        _comparison(data, op, stack, at, top)
    return at + 1


@kernel
def _comparison(data: Any, op: int, stack: Any, at: int, top: int) -> None:
    without = without_value(stack, at, top)
    if without >= 0:
        set_value(stack, at, without, 0, 0)
        return
    known, order = compare(data, stack, at, at + 1)
    truth = order == 0
    if op == _UNEQUAL:
        truth = order != 0
    elif op == _LESS:
        truth = order < 0
    elif op == _AT_MOST:
        truth = order <= 0
    elif op == _MORE:
        truth = order > 0
    elif op == _AT_LEAST:
        truth = order >= 0
    set_value(stack, at, BOOLEAN_VALUE if known else UNKNOWN, np.int64(truth), 0)


@kernel
def _junction(op: int, stack: Any, at: int, top: int) -> None:
    """AND and OR: from left to right, the first that decides."""
    decisive = np.int64(op == _OR)
    what, value = np.int64(BOOLEAN_VALUE), 1 - decisive
    for i in range(at, top):
        if stack[i, WHAT] == UNKNOWN:
            what = np.int64(UNKNOWN)
            break
        if stack[i, WHAT] == NULL:
            what = np.int64(NULL)
        elif stack[i, VALUE] == decisive:
            what, value = np.int64(BOOLEAN_VALUE), decisive
            break
    set_value(stack, at, what, value, 0)


@kernel
def _choose(op: int, stack: Any, at: int, top: int) -> None:
    """CASE and COALESCE: the value that is taken moves to `at`."""
    chosen = top - 1
    if op == _COALESCE:
        for i in range(at, top):
            if stack[i, WHAT] != NULL:
                chosen = i
                break
    else:
        for i in range(at, top - 1, 2):
            if stack[i, WHAT] == UNKNOWN:
                chosen = i
                break
            if stack[i, WHAT] == BOOLEAN_VALUE and stack[i, VALUE] == 1:
                chosen = i + 1
                break
    for column in range(STACK_COLUMNS):
        stack[at, column] = stack[chosen, column]


@kernel
def _within(data: Any, stack: Any, at: int, top: int) -> None:
    what, value = stack[at, WHAT], np.int64(0)
    if what not in (NULL, UNKNOWN):
        what = np.int64(BOOLEAN_VALUE)
        for i in range(at + 1, top):
            if stack[i, WHAT] == NULL:
                what = np.int64(NULL)
                continue
            known, order = (False, np.int64(0)) if stack[i, WHAT] == UNKNOWN else compare(data, stack, at, i)
            if not known:
                what = np.int64(UNKNOWN)
                break
            if order == 0:
                what, value = np.int64(BOOLEAN_VALUE), np.int64(1)
                break
    set_value(stack, at, what, value, 0)


@kernel
def _extreme(data: Any, op: int, stack: Any, at: int, top: int) -> None:
    chosen = np.int64(-1)
    unknown = False
    for i in range(at, top):
        if stack[i, WHAT] == UNKNOWN:
            unknown = True
        elif stack[i, WHAT] != NULL:
            if chosen < 0:
                chosen = np.int64(i)
            else:
                known, order = compare(data, stack, i, chosen)
                unknown = unknown or not known
                if (order > 0 and op == _GREATEST) or (order < 0 and op == _LEAST):
                    chosen = np.int64(i)
    if unknown or chosen < 0:
        stack[at, WHAT] = UNKNOWN if unknown else NULL
    else:
        for column in range(STACK_COLUMNS):
            stack[at, column] = stack[chosen, column]
