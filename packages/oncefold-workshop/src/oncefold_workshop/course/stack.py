"""A learner's stack file: what triggers each function, what its role allows, how many of it may run at a time."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oncefold.core.errors import OncefoldError
from oncefold_workshop.course.observer import MAP, REDUCE, STATE
from oncefold_workshop.course.policy import Policy, Statement
from oncefold_workshop.pipelines.settings import STREAM, TABLES

SOURCES = (STREAM, TABLES.state, TABLES.reduce)
"""What a function can be triggered by: the stream of messages, and the streams of tables."""
MOST = 10_000
"""Records of a batch, at most."""
_WINDOW = 300


@dataclass(frozen=True, slots=True)
class Trigger:
    """An event source mapping."""

    source: str
    batch_size: int
    window_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class StackFunction:
    """How a function is deployed."""

    trigger: Trigger | None
    concurrency: int | None
    """Invocations at a time, at most; None: no limit."""
    policy: Policy


@dataclass(frozen=True, slots=True)
class StackFile:
    """A stack file that was read."""

    path: Path
    functions: Mapping[str, StackFunction]

    def error(self, function: str, message: str) -> OncefoldError:
        """An error about a function."""
        return OncefoldError(f"{self.path.name}: {function}: {message}")


def load_stack(path: Path) -> StackFile:
    """Read a stack file. Raises OncefoldError."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise OncefoldError(f"--stack {path}: cannot be read: {reason}") from None
    except tomllib.TOMLDecodeError as error:
        raise OncefoldError(f"{path.name}: {error}") from None
    names = (STATE, MAP, REDUCE)
    if set(document) != set(names) or not all(isinstance(table, dict) for table in document.values()):
        raise OncefoldError(f"{path.name}: it has to have the tables {', '.join(names)}, and no others")
    return StackFile(path, {name: _Reader(path.name, name, document[name]).function() for name in names})


class _Reader:
    """Reads the table of one function."""

    def __init__(self, file: str, name: str, table: Mapping[str, Any]) -> None:
        self._where = f"{file}: {name}"
        self._table = table

    def function(self) -> StackFunction:
        """Raises OncefoldError."""
        self._known(self._table, {"trigger", "concurrency", "policy"}, "")
        concurrency = self._table.get("concurrency")
        if concurrency is not None and (type(concurrency) is not int or concurrency < 1):
            raise self._wrong("concurrency", "write a whole number from 1 on, or leave it out for no limit")
        return StackFunction(self._trigger(), concurrency, self._policy())

    def _trigger(self) -> Trigger | None:
        trigger = self._table.get("trigger")
        if trigger is None:
            return None
        if not isinstance(trigger, dict):
            raise self._wrong("trigger", 'write { source = "...", batch_size = 100 }')
        self._known(trigger, {"source", "batch_size", "window_seconds"}, "trigger.")
        source, size = trigger.get("source"), trigger.get("batch_size", 100)
        window = trigger.get("window_seconds", 0)
        if source not in SOURCES:
            raise self._wrong("trigger.source", f"write one of {', '.join(SOURCES)}")
        if type(size) is not int or not 1 <= size <= MOST:
            raise self._wrong("trigger.batch_size", f"write a whole number from 1 to {MOST:,}")
        if type(window) not in {int, float} or not 0 <= window <= _WINDOW:
            raise self._wrong("trigger.window_seconds", f"write a number from 0 to {_WINDOW}")
        return Trigger(source, size, float(window))

    def _policy(self) -> Policy:
        statements = self._table.get("policy", [])
        if not isinstance(statements, list):
            raise self._wrong("policy", "write a list of statements")
        return Policy(tuple(self._statement(statement) for statement in statements))

    def _statement(self, statement: Any) -> Statement:
        if not isinstance(statement, dict) or set(statement) != {"actions", "resources"}:
            raise self._wrong("policy", 'each statement is { actions = ["..."], resources = ["..."] }')
        found = [statement["actions"], statement["resources"]]
        if not all(isinstance(part, list) and all(isinstance(one, str) for one in part) for part in found):
            raise self._wrong("policy", "actions and resources are lists of text")
        return Statement(*(tuple(part) for part in found))

    def _known(self, table: Mapping[str, Any], names: set[str], prefix: str) -> None:
        for name in table:
            if name not in names:
                raise self._wrong(f"{prefix}{name}", f"there is no such setting; there are {', '.join(sorted(names))}")

    def _wrong(self, setting: str, message: str) -> OncefoldError:
        return OncefoldError(f"{self._where}.{setting}: {message}")
