"""Oncefold as a player: the functions that run in Lambda, deployed as the fault search does it."""

from collections.abc import Iterable, Iterator
from decimal import Decimal

from oncefold.aws.functions import layout
from oncefold.core.definition import Pipeline
from oncefold.core.event import DELETED, Content
from oncefold.core.fold import Node
from oncefold_lab.search.deployment import NAMES, Deployment, Shape
from oncefold_lab.search.oncefold import Oncefold
from oncefold_workshop.game.accounts import Account, Blamed, Cause, What
from oncefold_workshop.game.arena import TIMEOUT_SECONDS, Arena
from oncefold_workshop.game.players import EXACT
from oncefold_workshop.game.truth import Row, Truth, Wrong

SHARDS = 2
"""Of the stream of messages."""
STATE = Shape(500, 1.0, 1, max_retries=100, max_age_seconds=86_400, timeout_seconds=TIMEOUT_SECONDS)
REDUCE = Shape(300, 1.0, 1, max_retries=20, max_age_seconds=3_600, timeout_seconds=TIMEOUT_SECONDS)
"""The template's defaults, but for the time that an invocation has, which is the same for all players."""


class OncefoldPlayer:
    """Oncefold's stack, for any pipeline."""

    name = "oncefold"
    tolerance = EXACT
    system: type[Oncefold] = Oncefold
    """A known-wrong variant can play in its place."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._round = 1
        self._stale: dict[str, int] = {}

    def deploy(self, arena: Arena) -> None:
        """See Player."""
        self._arena = arena
        self._system = self.system(Deployment(self._pipeline, SHARDS, STATE, REDUCE), ())
        self._system.deploy(arena)

    def kept(self, node: Node, row: Row) -> Row | None:  # noqa: ARG002 - others keep less
        """See Player: it keeps all."""
        return row

    def rows(self) -> dict[Node, Row]:
        """See Player."""
        totals = self._system.totals()
        scales = [measure.scale for measure in self._pipeline.measures]
        return {
            node: (
                Decimal(total.count),
                *(Decimal(value).scaleb(-scale) for value, scale in zip(total.sums, scales, strict=True)),
            )
            for node, total in totals.items()
        }

    def look(self, number: int) -> None:
        """See Player: its tables tell all."""
        self._round = number

    def account(self, wrong: Wrong, truth: Truth, touched: Iterable[str]) -> Account:
        """See Player."""
        causes = [*self._states(wrong, truth, touched), *self._outbox(wrong, truth)]
        return Account.of(wrong.by, causes)

    def _states(self, wrong: Wrong, truth: Truth, touched: Iterable[str]) -> Iterator[Cause]:
        """Keys whose state is not their latest version."""
        blamed: dict[int, list[Blamed]] = {}
        for key in sorted({*touched, *self._stale}):
            stands, wanted = self._content(key), truth.best[key].content
            if stands == wanted:
                self._stale.pop(key, None)
                continue
            number = self._stale.setdefault(key, self._round)
            amount = _under(truth, stands, wrong) - _under(truth, wanted, wrong)
            if amount:
                blamed.setdefault(number, []).append(Blamed(key, amount))
        for number, some in blamed.items():
            yield Cause.of(What.STATE, "StateTable has another version", number, some)

    def _content(self, key: str) -> Content:
        row = self._arena.rows(NAMES.state_table).get(layout.key_text(key))
        return DELETED if row is None else layout.parse_state(self._pipeline, row[0])[1].content

    def _outbox(self, wrong: Wrong, truth: Truth) -> Iterator[Cause]:
        """Deltas that nobody has added."""
        blamed = []
        for item in self._arena.items(NAMES.reduce_table):
            delta = layout.parse_delta(self._pipeline, item)
            for node, total in delta.nodes:
                if node == wrong.node:
                    amount = truth.row((total.count, *total.sums))[wrong.column]
                    assert amount is not None
                    blamed.append(Blamed(delta.id, -amount))
        if blamed:
            yield Cause.of(What.LOST, "their deltas are still in the outbox", self._round, blamed)


def _under(truth: Truth, content: Content, wrong: Wrong) -> Decimal:
    """What a content adds to a node."""
    row = truth.amounts(content).get(wrong.node)
    amount = None if row is None else row[wrong.column]
    return Decimal(0) if amount is None else amount
