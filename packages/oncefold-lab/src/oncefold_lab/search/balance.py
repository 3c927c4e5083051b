"""What may never be otherwise, checked after every write: totals + outbox = what the states contribute.

And states only grow, and only to what was sent. Only rows that changed are read, so that a check costs little.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from oncefold.aws.functions import layout
from oncefold.core.definition import Pipeline
from oncefold.core.errors import OncefoldError
from oncefold.core.event import Event
from oncefold.core.fold import Node, Total
from oncefold_lab.search import truth
from oncefold_lab.search.deployment import NAMES
from oncefold_lab.simulator.values import Row, give_item
from oncefold_lab.world.system import Violation

Rows = Mapping[Any, Row]
Numbers = dict[Node, tuple[int, ...]]


class _Watched:
    """A table, and its rows as they were when last looked at."""

    def __init__(self, rows: Rows, read: Callable[[dict[str, Any]], Any]) -> None:
        self._rows = rows
        self._read = read
        self._seen: dict[Any, tuple[Row, Any]] = {}

    def changes(self) -> list[tuple[Any, Any]]:
        """What every changed row says, before and after; None where there is none."""
        found = []
        for key, row in self._rows.items():
            seen = self._seen.get(key)
            if seen is None or seen[0] is not row:
                after = self._read(give_item(row[0]))
                found.append((None if seen is None else seen[1], after))
                self._seen[key] = (row, after)
        if len(self._seen) > len(self._rows):
            gone = [key for key in self._seen if key not in self._rows]
            found += [(self._seen.pop(key)[1], None) for key in gone]
        return found


class Balance:
    """The books of one stack."""

    def __init__(self, pipeline: Pipeline, rows: Callable[[str], Rows], events: Iterable[Event]) -> None:
        """`rows` gives a table's rows; `events` are all that are ever sent."""
        self._pipeline = pipeline
        self._sent = {(event.key, event.version, event.content) for event in events}
        self._states = _Watched(rows(NAMES.state_table), self._state)
        self._outbox = _Watched(rows(NAMES.reduce_table), self._delta)
        self._nodes = _Watched(rows(NAMES.aggregate_table), self._node)
        self._off: Numbers = {}
        """By how much totals + outbox are more than the states contribute, where they are."""

    def check(self) -> None:
        """Look at what changed. Raises Violation."""
        try:
            self._check()
        except (ArithmeticError, LookupError, OncefoldError, TypeError, ValueError) as error:
            raise Violation(f"a table holds what cannot be read: {error!r}") from error

    def _check(self) -> None:
        for before, after in self._states.changes():
            self._check_growth(before, after)
            for event, sign in ((before, 1), (after, -1)):
                if event is not None:
                    self._add(truth.contribution(self._pipeline, event.content), sign)
        for before, after in self._outbox.changes():
            if before is not None and after is not None:
                raise Violation("a delta in the outbox was changed")
            self._add(after or before, 1 if before is None else -1)
        for before, after in self._nodes.changes():
            for numbers, sign in ((before, -1), (after, 1)):
                if numbers is not None:
                    self._add(numbers, sign)
        if self._off:
            raise Violation(f"totals and outbox are not what the states contribute: {self._words()}")

    def _check_growth(self, before: Event | None, after: Event | None) -> None:
        if after is None:
            raise Violation(f"the state of {before} is gone")
        if before is not None and truth.order(after) <= truth.order(before):
            raise Violation(f"a state did not grow: {before} became {after}")
        if (after.key, after.version, after.content) not in self._sent:
            raise Violation(f"a state that was never sent: {after}")

    def _add(self, numbers: Numbers, sign: int) -> None:
        off = self._off
        for node, row in numbers.items():
            total = truth.plus(off.get(node), tuple(sign * number for number in row))
            if any(total):
                off[node] = total
            else:
                off.pop(node, None)

    def _words(self) -> str:
        over = {node: Total(count, tuple(rest)) for node, (count, *rest) in self._off.items()}
        return truth.words(self._pipeline, {}, over)

    def _state(self, item: dict[str, Any]) -> Event:
        key, stored = layout.parse_state(self._pipeline, item)
        return Event(key, stored.version, stored.content)

    def _delta(self, item: dict[str, Any]) -> Numbers:
        return {node: (total.count, *total.sums) for node, total in layout.parse_delta(self._pipeline, item).nodes}

    def _node(self, item: dict[str, Any]) -> Numbers:
        if not item["path"]["S"].startswith("/"):
            return {}
        node, total = layout.parse_node(self._pipeline, item)
        return {node: (total.count, *total.sums)}
