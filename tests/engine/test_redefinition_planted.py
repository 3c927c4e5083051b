"""Bugs planted in the kept events and in the redefinition: the plain model catches each of them."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from oncefold.commit import WholeEvents
from oncefold.core.errors import OncefoldError
from oncefold.core.fold import Outcome
from oncefold.engine.redefinition import Redefinition
from oncefold.store import definitions, events, replacement, rows, writer
from oncefold.store.events import NOBODY, EventTables
from oncefold.store.replacement import Replacement
from tests.engine.redefining import play
from tests.tools.sizes import in_full

Planted = Callable[[], AbstractContextManager[Any]]

SEEDS = range(12)


def events_between_copy_and_switch_are_lost() -> AbstractContextManager[Any]:
    def once(self: Redefinition) -> int:
        return 0 if self._read else gather(self)

    gather = Redefinition.gather
    return patch.object(Redefinition, "gather", once)


def positions_are_not_carried() -> AbstractContextManager[Any]:
    def forgetting(connection: Any, *rest: Any) -> None:
        set_aside(connection, *rest)
        connection.execute("DELETE FROM positions")

    set_aside = definitions.set_aside
    return patch.object(writer, "set_aside", forgetting)


def a_filtered_event_is_not_kept() -> AbstractContextManager[Any]:
    """So the old `where` forgets the version of its key."""
    return patch("oncefold.engine.engine.taken", lambda outcome: outcome <= Outcome.CONFLICT_WON)


def a_delete_is_not_kept() -> AbstractContextManager[Any]:
    return patch("oncefold.engine.engine.taken", lambda outcome: np.isin(outcome, [0, 1, 3, Outcome.FILTERED]))


def stale_events_are_kept() -> AbstractContextManager[Any]:
    return patch("oncefold.engine.engine.taken", lambda outcome: outcome != Outcome.DUPLICATE)


def the_first_of_a_commit_is_kept() -> AbstractContextManager[Any]:
    def first(parts: list[WholeEvents], rows: int) -> list[WholeEvents]:
        if not parts:
            return []
        row = np.concatenate([part.row for part in parts])
        _, index = np.unique(row, return_index=True)
        found, start = [], 0
        for part in parts:
            kept = np.sort(index[(index >= start) & (index < start + len(part.row))]) - start
            start += len(part.row)
            found.append(WholeEvents(part.row[kept], part.form, part.records.take(kept)))
        return [part for part in found if len(part.row)]

    return patch.object(events, "newest_of_each", first)


def rows_are_not_numbered_anew() -> AbstractContextManager[Any]:
    return patch.object(Replacement, "event_rows", lambda *_: ())


def rejected_entries_live_on() -> AbstractContextManager[Any]:
    def all_live(self: Replacement, tables: EventTables) -> Iterator[tuple[int, Any]]:
        for number, *_ in tables.segments():
            before = tables.rows(number)
            yield (
                number,
                np.where(before == NOBODY, NOBODY, self.row[np.minimum(before, len(self.row) - 1)]).astype("u4"),
            )

    return patch.object(Replacement, "event_rows", all_live)


def compaction_goes_by_arrival() -> AbstractContextManager[Any]:
    """The entries of merged segments become the newest, whatever came after them."""
    return patch.object(events.EventIndex, "living", lambda _, __, row: np.flatnonzero(row != NOBODY))


def rejects_are_dropped() -> AbstractContextManager[Any]:
    def silent(self: Redefinition) -> Any:
        found, made = finish(self)
        return replace(found, content=replace(found.content, rejects=())), made

    finish = Redefinition._finish
    return patch.object(Redefinition, "_finish", silent)


def the_past_is_read_under_the_new_definition() -> AbstractContextManager[Any]:
    return patch("oncefold.store.reader.definition_at", lambda *_: None)


def the_old_deltas_stay() -> AbstractContextManager[Any]:
    """The totals' history goes on as if nothing had been switched."""
    return patch.object(definitions, "LASTING", definitions.LASTING | {"deltas"})


def the_new_totals_are_not_verified_and_wrong() -> AbstractContextManager[Any]:
    def wrong(connection: Any, pipeline: Any, totals: Any) -> None:
        write(connection, pipeline, replace(totals, count=totals.count + (totals.count > 0)))

    write = rows.write_totals
    stack = ExitStack()
    stack.enter_context(patch.object(replacement, "require_verified", lambda *_: None))
    stack.enter_context(patch.object(writer.Store, "redefine", _with_totals(wrong, writer.Store.redefine)))
    return stack


def _with_totals(write: Any, redefine: Any) -> Any:
    def redefined(self: Any, found: Any) -> int:
        with patch.object(rows, "write_totals", write):
            commit: int = redefine(self, found)
            return commit

    return redefined


PLANTED: list[Planted] = [
    events_between_copy_and_switch_are_lost,
    positions_are_not_carried,
    a_filtered_event_is_not_kept,
    a_delete_is_not_kept,
    stale_events_are_kept,
    the_first_of_a_commit_is_kept,
    rows_are_not_numbered_anew,
    rejected_entries_live_on,
    compaction_goes_by_arrival,
    rejects_are_dropped,
    the_past_is_read_under_the_new_definition,
    the_old_deltas_stay,
    the_new_totals_are_not_verified_and_wrong,
]


@pytest.mark.parametrize(
    "planted", [*PLANTED[:3], *in_full("1 s each", *PLANTED[3:])], ids=lambda planted: planted.__name__
)
def test_a_planted_bug_is_caught(tmp_path: Path, planted: Planted) -> None:
    with patch.object(events, "SEGMENT_ROWS", 8), patch.object(events, "FAN_OUT", 2), planted():
        for seed in SEEDS:
            try:
                play(tmp_path / f"{seed}.db", seed, 3)
            except (AssertionError, OncefoldError, LookupError, ValueError):
                return
    pytest.fail(f"{planted.__name__} was not caught")
