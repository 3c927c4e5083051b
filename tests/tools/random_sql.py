"""Random SQL expressions over a few typed fields, and rows for them."""

import json
from dataclasses import dataclass
from random import Random
from typing import Any

NUMBERS, TEXTS, TRUTHS = ("n1", "n2"), ("t1", "t2"), ("b1",)
COLUMNS = "n1 DECIMAL(9, 2), n2 DECIMAL(9, 2), t1 VARCHAR, t2 VARCHAR, b1 BOOLEAN, ts TIMESTAMP"
"""The fields, as DuckDB declares them."""

_TEXT_VALUES = ["", "a", "B", "a-b", "-", "Ab-Cd-e", "  x ", "100", "zz_%", "-1"]
_TIMES = ["2024-02-29 23:59:58.5", "1969-12-31 23:59:59", "2021-01-03 00:00:00", "2000-06-15 12:30:00.25"]
_PARTS = ("YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "DOW", "DOY", "HOUR", "MINUTE", "SECOND")


def rows(rng: Random, number: int) -> list[dict[str, Any]]:
    """Rows of the fields; a tenth of the values is NULL."""

    def perhaps(value: Any) -> Any:
        return None if rng.random() < 0.1 else value

    return [
        {
            "n1": perhaps(rng.choice(["0.00", "1.00", "-2.50", "3.25", "100.00", "0.07"])),
            "n2": perhaps(f"{rng.randrange(-500, 500) / 100:.2f}"),
            "t1": perhaps(rng.choice(_TEXT_VALUES)),
            "t2": perhaps(rng.choice(_TEXT_VALUES)),
            "b1": perhaps(rng.random() < 0.5),
            "ts": perhaps(rng.choice(_TIMES)),
        }
        for _ in range(number)
    ]


@dataclass(slots=True)
class RandomSql:
    """Draws expressions of a kind, nested up to a depth. Each is valid for Oncefold and for DuckDB."""

    rng: Random

    def number(self, depth: int) -> str:
        """An expression that gives a number."""
        pick = self.rng.choice
        if depth == 0 or self.rng.random() < 0.2:
            return pick([*(f"CAST({name} AS DECIMAL(9, 2))" for name in NUMBERS), "0", "1", "2.5", "-0.07"])
        a, b = self.number(depth - 1), self.number(depth - 1)
        forms = [f"({a} + {b})", f"({a} - {b})", f"({a} * {b})", f"(-({a}))", f"ABS({a})", f"COALESCE({a}, {b})"]
        forms += [f"NULLIF({a}, {b})", f"GREATEST({a}, {b})", f"LEAST({a}, {b}, 1)"]
        forms += [f"CASE WHEN {self.truth(depth - 1)} THEN {a} ELSE {b} END", f"CASE {a} WHEN {b} THEN 1 END"]
        forms += [f"EXTRACT({pick(_PARTS)} FROM CAST(ts AS TIMESTAMP))"]
        return pick(forms)

    def text(self, depth: int) -> str:
        """An expression that gives a text."""
        pick = self.rng.choice
        if depth == 0 or self.rng.random() < 0.2:
            return pick([*(f"CAST({name} AS TEXT)" for name in TEXTS), "'a'", "'-'", "''", "'it''s'"])
        a, b = self.text(depth - 1), self.text(depth - 1)
        start, length = self.rng.randrange(1, 5), self.rng.randrange(4)
        forms = [
            f"LOWER({a})",
            f"UPPER({a})",
            f"TRIM({a})",
            f"({a} || {b})",
            f"COALESCE({a}, {b})",
            f"NULLIF({a}, {b})",
        ]
        forms += [f"SUBSTR({a}, {start}, {length})", f"SUBSTR({a}, {start})", f"TRIM(LEADING 'a-' FROM {a})"]
        forms += [f"SPLIT_PART({a}, '-', {pick([1, 2, 3, -1])})", f"GREATEST({a}, {b})", f"TRIM(TRAILING '-' FROM {a})"]
        forms += [f"CASE WHEN {self.truth(depth - 1)} THEN {a} WHEN {self.truth(0)} THEN {b} END"]
        return pick(forms)

    def truth(self, depth: int) -> str:
        """An expression that gives a truth value."""
        pick = self.rng.choice
        if depth == 0 or self.rng.random() < 0.1:
            return pick(["(b1 IS TRUE)", "(b1 IS NOT FALSE)", "(n1 IS NULL)", "(b1 = TRUE)", "TRUE"])
        sign = pick(["=", "<>", "<", "<=", ">", ">="])
        a, b, c = self.number(depth - 1), self.number(depth - 1), self.number(0)
        s, t = self.text(depth - 1), self.text(depth - 1)
        p, q = self.truth(depth - 1), self.truth(depth - 1)
        forms = [f"({a} {sign} {b})", f"({s} {sign} {t})", f"({a} IN ({b}, {c}))", f"({s} NOT IN ({t}, 'a'))"]
        forms += [f"({a} BETWEEN {b} AND {c})", f"({s} LIKE {pick(_PATTERNS)})", f"({s} NOT LIKE {pick(_PATTERNS)})"]
        forms += [f"({p} AND {q})", f"({p} OR {q})", f"(NOT {p})", f"({s} IS NULL)", f"(({p}) IS NOT NULL)"]
        forms += [f"(CAST(ts AS TIMESTAMP) {sign} TIMESTAMP '2021-01-03 00:00:00')"]
        return pick(forms)


_PATTERNS = ("'a%'", "'%-%'", "'_'", "'%b'", "'A_-%'", "'%'", "''")


def as_json(found: list[dict[str, Any]]) -> bytes:
    """The rows as JSON Lines, each with its number as `id`."""
    return b"".join(json.dumps({"id": number, **row}).encode() + b"\n" for number, row in enumerate(found))
