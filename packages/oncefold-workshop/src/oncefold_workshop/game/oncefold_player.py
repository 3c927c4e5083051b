"""Oncefold's stack as a player, and why a node of it is wrong: states and deltas."""

from collections.abc import Iterable, Iterator
from decimal import Decimal

from oncefold.aws.functions import layout
from oncefold.core.definition import Pipeline
from oncefold.core.event import DELETED, Content
from oncefold.core.fold import Node
from oncefold_lab.search.oncefold import Oncefold
from oncefold_lab.search.scenario import NAMES, SimulatedDeployment, StackShape
from oncefold_workshop.game.arena import SHARDS, TIMEOUT_SECONDS, Arena
from oncefold_workshop.game.audit import Account, Blamed, Cause, What
from oncefold_workshop.game.expected import EXACT, ExpectedTotals, Row, Wrong

STATE_SHAPE = StackShape(500, 1.0, 1, max_retries=100, max_age_seconds=86_400, timeout_seconds=TIMEOUT_SECONDS)
REDUCE_SHAPE = StackShape(300, 1.0, 1, max_retries=20, max_age_seconds=3_600, timeout_seconds=TIMEOUT_SECONDS)
"""The template's defaults, but for the time that an invocation has, which is the same for all players."""


class OncefoldPlayer:
    """Oncefold's stack, for any pipeline."""

    name = "oncefold"
    stream = NAMES.stream
    tolerance = EXACT
    system: type[Oncefold] = Oncefold
    """A known-wrong variant can play in its place."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._round = 1
        self._stale: dict[str, tuple[Content, Content]] = {}
        """Keys whose state was not their latest version when the last round ended: what it was, what was wanted."""
        self._pending: dict[str, layout.Delta] = {}
        """Deltas that were not added when the last round ended."""

    def deploy(self, arena: Arena) -> None:
        """See Player."""
        self._arena = arena
        self._system = self.system(SimulatedDeployment(self._pipeline, SHARDS, STATE_SHAPE, REDUCE_SHAPE), ())
        self._system.deploy(arena)

    def kept(self, node: Node, row: Row) -> Row | None:  # noqa: ARG002 - others keep less
        """See Player: it keeps all."""
        return row

    def rows(self) -> dict[Node, Row]:
        """See Player."""
        totals = self._system.totals()
        scales = [amount.scale for amount in self._pipeline.amounts]
        return {
            node: (
                Decimal(total.count),
                *(Decimal(value).scaleb(-scale) for value, scale in zip(total.sums, scales, strict=True)),
            )
            for node, total in totals.items()
        }

    def observe(self, number: int) -> None:
        """See Player: its tables are enough."""
        self._round = number

    def account(self, wrong: Wrong, expected: ExpectedTotals, touched: Iterable[str]) -> Account:
        """See Player."""
        causes = [*self._states(wrong, expected, touched), *self._outbox(wrong, expected)]
        return Account.of(wrong.by, causes)

    def end_round(self, expected: ExpectedTotals, touched: Iterable[str]) -> None:
        """See Player."""
        found = {key: (self._content(key), expected.best[key].content) for key in {*touched, *self._stale}}
        self._stale = {key: pair for key, pair in found.items() if pair[0] != pair[1]}
        self._pending = self._deltas()

    def late(self) -> tuple[str, ...]:
        """See Player: it is no learner."""
        return ()

    def _states(self, wrong: Wrong, expected: ExpectedTotals, touched: Iterable[str]) -> Iterator[Cause]:
        """Keys whose state is not their latest version, or has become it since the last round."""
        blamed: list[Blamed] = []
        for key in sorted({*touched, *self._stale}):
            amount = _mismatch(expected, (self._content(key), expected.best[key].content), wrong)
            amount -= _mismatch(expected, self._stale.get(key), wrong)
            if amount:
                blamed.append(Blamed(key, amount))
        if blamed:
            yield Cause.of(What.STATE, "StateTable has another version", self._round, blamed)

    def _content(self, key: str) -> Content:
        row = self._arena.rows(NAMES.state_table).get(layout.key_text(key))
        return DELETED if row is None else layout.parse_state(self._pipeline, row[0])[1].content

    def _deltas(self) -> dict[str, layout.Delta]:
        parsed = (layout.parse_delta(self._pipeline, item) for item in self._arena.items(NAMES.reduce_table))
        return {delta.id: delta for delta in parsed}

    def _outbox(self, wrong: Wrong, expected: ExpectedTotals) -> Iterator[Cause]:
        """Deltas that are not added, and those of earlier rounds that are by now."""
        now = self._deltas()
        waiting = [_blamed(now[name], wrong, expected, -1) for name in now.keys() - self._pending.keys()]
        late = [_blamed(self._pending[name], wrong, expected, 1) for name in self._pending.keys() - now.keys()]
        for what, why, blamed in (
            (What.LOST, "their deltas are still in the outbox", waiting),
            (What.LATE, "their deltas were added when their round was over", late),
        ):
            found = [one for one in blamed if one.amount]
            if found:
                yield Cause.of(what, why, self._round, found)


def _blamed(delta: layout.Delta, wrong: Wrong, expected: ExpectedTotals, sign: int) -> Blamed:
    """What a delta adds to a node."""
    amount = Decimal(0)
    for node, total in delta.nodes:
        if node == wrong.node:
            amount += sign * (expected.row((total.count, *total.sums))[wrong.column] or Decimal(0))
    return Blamed(delta.id, amount)


def _mismatch(expected: ExpectedTotals, contents: tuple[Content, Content] | None, wrong: Wrong) -> Decimal:
    """By how much a state makes a node too great: what it is of against what it should be of."""
    if contents is None:
        return Decimal(0)
    return _under(expected, contents[0], wrong) - _under(expected, contents[1], wrong)


def _under(expected: ExpectedTotals, content: Content, wrong: Wrong) -> Decimal:
    """What a content adds to a node."""
    row = expected.amounts(content).get(wrong.node)
    amount = None if row is None else row[wrong.column]
    return Decimal(0) if amount is None else amount
