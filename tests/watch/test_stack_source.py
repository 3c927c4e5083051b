"""A stack that is looked at while deltas come and are applied."""

from collections.abc import Callable

import pytest

from oncefold.aws.names import Names
from oncefold.aws.operations.drain import Drain
from oncefold.aws.reader import StackReader, open_stack
from oncefold.core.errors import OncefoldError, QueryError
from oncefold.queries.model import AsOfTime
from oncefold.queries.protocol import no_progress
from oncefold.watch.sources import StackSource
from oncefold.watch.watching import NotYetError, Watched, Watching
from tests.aws.reader.stacks import fill
from tests.queries.stores import MONDAY, SHOP, TUESDAY, events, lines
from tests.watch.looks import Clock


class Counted:
    """Opens a stack and notes which depths were queried."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self.depths: list[int | None] = []

    def __call__(self) -> StackReader:
        reader = open_stack(self._names.stack)
        query = reader.query

        def counted(*arguments: object, depth: int | None = 1, **options: object) -> object:
            self.depths.append(depth)
            return query(*arguments, depth=depth, **options)  # type: ignore[arg-type]

        reader.query = counted  # type: ignore[method-assign, assignment]
        return reader


@pytest.fixture
def opener(stack: Names) -> Callable[[], StackReader]:
    fill(stack, SHOP, events(SHOP, lines(MONDAY), lines(TUESDAY)), pending=1)
    return lambda: open_stack(stack.stack)


def test_totals_and_what_is_pending_are_seen_and_what_is_applied_changes_them(
    opener: Callable[[], StackReader],
) -> None:
    watching = Watching(StackSource(opener, Watched()), Clock())
    seen = watching.look()
    assert seen.look is not None
    assert isinstance(seen.look.totals.as_of, AsOfTime)
    assert seen.look.totals.as_of.pending is not None
    assert (seen.look.totals.as_of.pending.deltas, seen.look.totals.as_of.pending.complete) == (1, True)
    assert seen.look.totals.rows == opener().query(depth=None).rows
    assert (seen.look.events, seen.rate) == (None, None)
    assert not watching.look().moved

    Drain.of(opener().stack).once(no_progress)
    seen = watching.look()
    assert seen.look is not None
    assert isinstance(seen.look.totals.as_of, AsOfTime)
    assert seen.look.totals.as_of.pending is not None
    assert seen.look.totals.as_of.pending.deltas == 0
    assert "count" in seen.changed[""] | seen.changed["US"]


def test_only_levels_that_fit_are_read_again(stack: Names) -> None:
    fill(stack, SHOP, events(SHOP, lines(MONDAY)))
    counted = Counted(stack)
    source = StackSource(counted, Watched())
    assert ([row.path for row in source.look(4).totals], source.look(4).cut) == (["", "FR", "US"], True)
    assert counted.depths == [1, 2, 1]
    assert not source.look(9).cut
    assert counted.depths == [1, 2, 1, 2]
    look = source.look(2)
    assert ([row.path for row in look.totals], look.cut) == (["", "FR"], True)


def test_a_node_that_is_not_there_is_waited_for(opener: Callable[[], StackReader]) -> None:
    with pytest.raises(NotYetError, match="there is no node ES"):
        StackSource(opener, Watched("ES")).look(None)
    with pytest.raises(QueryError, match="has 2 levels"):
        StackSource(opener, Watched("FR/Paris/Left Bank")).look(None)


def test_a_stack_that_is_not_there_is_reported(stack: Names) -> None:
    with pytest.raises(OncefoldError, match="no-such-stack"):
        StackSource(lambda: open_stack("no-such-stack"), Watched()).look(None)
