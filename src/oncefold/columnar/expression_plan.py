"""Expressions as programs of a stack machine, the form in which `expression_kernel` runs them on a record's fields."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from oncefold.columnar.arrays import Int64Rows, Int64s, UInt8s
from oncefold.core.definition import Pipeline
from oncefold.core.evaluate import Time, evaluator, text_of
from oncefold.core.expression import Call, Constant, Field, Node
from oncefold.core.fieldpath import FieldPath

NULL, NUMBER_VALUE, TEXT_VALUE, TIME_VALUE, BOOLEAN_VALUE, RAW_VALUE, UNKNOWN = 0, 1, 2, 3, 4, 5, 6
"""What a value on the stack is. The scalar decoder finds out what an UNKNOWN one is, or what is wrong with it."""

_KIND_VALUES = {
    "raw": RAW_VALUE,
    "number": NUMBER_VALUE,
    "text": TEXT_VALUE,
    "time": TIME_VALUE,
    "boolean": BOOLEAN_VALUE,
}

LOAD, CONSTANT, FAIL = 0, 1, 2
_OPS = (
    *("+", "-", "*", "divide", "round", "neg", "abs", "to_decimal"),
    *("=", "<>", "<", "<=", ">", ">=", "and", "or", "not", "in", "is null", "is true"),
    *("case", "coalesce", "nullif", "greatest", "least"),
    *("lower", "upper", "trim", "ltrim", "rtrim", "||", "substr", "split_part", "like"),
    *("to_text", "to_time", *(f"extract {part}" for part in ("year", "quarter", "month", "day", "dow", "doy"))),
    *(f"extract {part}" for part in ("hour", "minute", "second", "epoch")),
)
OPS = {name: FAIL + 1 + index for index, name in enumerate(_OPS)}
"""The operation of each code."""

_TEXT_OF_TRUE, _TEXT_OF_FALSE = b"true", b"false"
TRUE_AT, FALSE_AT, TEXTS_END = 0, len(_TEXT_OF_TRUE), len(_TEXT_OF_TRUE + _TEXT_OF_FALSE)
"""Where these two begin in every pool of texts."""

_MOST_NUMBER = 10**18
_MOST_PLACES = 18


class Programs(NamedTuple):
    """The programs of all expressions of a definition, one after the other."""

    code: Int64Rows
    """(operation, number of arguments or what the operation needs, the same) per step."""
    ends: Int64s
    """The step after the last one of each expression; its result is field `first` plus its number."""
    constants: Int64Rows
    """(kind of value, number or where a text begins in the pool, places or where it ends) of each constant."""
    first: Int64s
    """In one element: the number of the field that holds the first result."""
    pool: UInt8s
    """The texts of constants."""


def programs_of(pipeline: Pipeline, fields: Mapping[FieldPath, int]) -> Programs:
    """The programs of a pipeline's expressions; their results are the fields after these."""
    return _Compiler(fields).programs(pipeline, len(fields))


class _Compiler:
    """Builds the programs; `number` gives the fields."""

    def __init__(self, number: Mapping[FieldPath, int]) -> None:
        self._number = number
        self._code: list[tuple[int, int, int]] = []
        self._constants: list[tuple[int, int, int]] = []
        self._pool = bytearray(_TEXT_OF_TRUE + _TEXT_OF_FALSE)

    def programs(self, pipeline: Pipeline, first: int) -> Programs:
        """The programs of a pipeline's expressions, with their results as fields from `first` on."""
        ends = []
        for expression in pipeline.expressions:
            self._add(expression.tree)
            ends.append(len(self._code))
        return Programs(
            np.array(self._code, np.int64).reshape(-1, 3),
            np.array(ends, np.int64),
            np.array(self._constants, np.int64).reshape(-1, 3),
            np.array([first], np.int64),
            np.frombuffer(bytes(self._pool), np.uint8),
        )

    def _add(self, node: Node) -> None:
        if isinstance(node, Field):
            self._code.append((LOAD, self._number[node.path], _KIND_VALUES[node.kind]))
        elif isinstance(node, Constant):
            self._constant(node)
        elif not self._special(node):
            for arg in node.args:
                self._add(arg)
            self._step(node.op, len(node.args))

    def _step(self, op: str, first: int = 0, second: int = 0) -> None:
        self._code.append((OPS[op], first, second))

    def _fail(self) -> None:
        """A value that the scalar decoder must find out."""
        self._code.append((FAIL, 0, 0))

    def _constant(self, node: Constant) -> None:
        value = evaluator(node)(lambda _: None)
        entry = (NULL, 0, 0)
        if isinstance(value, bool):
            entry = (BOOLEAN_VALUE, int(value), 0)
        elif isinstance(value, Time):
            entry = (TIME_VALUE, int(value), 0)
        elif isinstance(value, str):
            entry = (TEXT_VALUE, len(self._pool), len(self._pool) + len(value.encode()))
            self._pool += value.encode()
        elif value is not None:
            whole, _, places = text_of(value).partition(".")
            mantissa = int(whole + places)
            known = abs(mantissa) < _MOST_NUMBER and len(places) <= _MOST_PLACES
            entry = (NUMBER_VALUE, mantissa, len(places)) if known else (UNKNOWN, 0, 0)
        self._code.append((CONSTANT, len(self._constants), 0))
        self._constants.append(entry)

    def _special(self, node: Call) -> bool:
        """Operations whose arguments are not all values; whether this was one."""
        if node.op == "extract":
            part = f"extract {getattr(node.args[0], 'value', '')}"
            if part not in OPS:
                self._fail()
                return True
            self._add(node.args[1])
            self._step(part)
        elif node.op == "to_decimal" and len(node.args) == 1:
            self._add(node.args[0])
            self._step("to_decimal")
        elif node.op in {"round", "to_decimal"}:
            places = _constant_number(node.args[-1]) if node.op == "round" or len(node.args) > 2 else 0
            self._rounded(node.args[0], places)
            if node.op == "to_decimal":
                self._step("to_decimal", _constant_number(node.args[1]), places)
        elif node.op == "like":
            if len(node.args) == 2 and isinstance(node.args[1], Constant):
                return False
            self._fail()
        elif node.op == "/":
            self._fail()
        else:
            return False
        return True

    def _rounded(self, node: Node, places: int) -> None:
        """A number to these places; a quotient is rounded as it is divided, once."""
        if isinstance(node, Call) and node.op == "/":
            for arg in node.args:
                self._add(arg)
            self._step("divide", places)
            return
        self._add(node)
        if node.kind != "number":
            self._step("to_decimal")
        self._step("round", places)


def _constant_number(node: Node) -> int:
    assert isinstance(node, Constant)
    return int(str(node.value))
