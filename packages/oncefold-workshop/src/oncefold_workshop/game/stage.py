"""One player in its world: it gets the messages of a round, troubles happen to it, and it is looked at."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any

from oncefold.core.fold import Node
from oncefold_lab.search.workload import Send
from oncefold_lab.world.scheduler import START
from oncefold_workshop.game.arena import Arena, InvocationCounts
from oncefold_workshop.game.audit import Account
from oncefold_workshop.game.expected import ExpectedTotals, Row, Wrong, first_wrong, grown
from oncefold_workshop.game.players import Player
from oncefold_workshop.game.rules import SAMPLE_SECONDS, WINDOW_SECONDS, BatchCut, Mode, Round, Trouble
from oncefold_workshop.pipelines.settings import HARD_MODE, FailurePercentages

_CALL = 500
"""Records of one PutRecords, at most."""


@dataclass(frozen=True, slots=True)
class TotalsSample:
    """A player at a moment of a round."""

    at: float
    """Seconds since the game began."""
    rows: dict[Node, Row]
    """By how much every node has grown in the round."""
    processed: int
    """Messages that its first function has finished, in all rounds together."""
    right: bool
    incidents: tuple[str, ...]
    """The last of what went wrong."""
    skipped: float = 0.0
    """Seconds that passed unseen before this sample."""


@dataclass(frozen=True, slots=True)
class PlayedRound:
    """How a player did in a round."""

    right_after: float | None
    """Seconds from the round's last message, or the end of an outage, to the first sample in which all was right."""
    wrong: Wrong | None
    """The first node that has grown by a wrong amount at the end."""
    account: Account | None
    """Why, of a node that is wrong."""
    totals: str
    """A hash of all its totals at the end, to the last digit."""
    invocations: dict[str, InvocationCounts]
    """Of the round, by function."""
    hints: tuple[str, ...] = ()
    """For a learner whose round was right too late."""

    @property
    def taken(self) -> bool:
        """Whether the round counts: right in time, and right for good."""
        return self.right_after is not None and self.right_after <= WINDOW_SECONDS and self.wrong is None


class Stage:
    """A player's world through all rounds. Samples have to be taken to the end before the next round."""

    def __init__(self, player: Player, seed: int) -> None:
        self.player = player
        self._arena = Arena(seed)
        player.deploy(self._arena)
        self._base: dict[Node, Row] = {}
        self.played: PlayedRound | None = None
        """How the last round went, once all its samples are taken."""

    def close(self) -> None:
        """End everything that runs."""
        self._arena.close()

    def samples(self, played: Round, sends: Sequence[Send], expected: ExpectedTotals) -> Iterator[TotalsSample]:
        """Play a round, whose messages `expected` has already, as fast as samples are taken."""
        self.played = None
        arena = self._arena
        arena.clear()
        arena.mode = played.mode
        arena.invocations.clear()
        self._base = self.player.rows()
        self.player.observe(played.number)
        arena.set_failures(FailurePercentages() if played.mode is Mode.EASY else HARD_MODE)
        for number, send in enumerate(sends):
            arena.scheduler.at(START + send.at, partial(self._send, f"generator {number}", send))
        self._begin(played)
        right_at: float | None = None
        for sample in self._course(played, expected):
            if sample.right and right_at is None and sample.at >= played.judged_from:
                right_at = sample.at
            yield sample
        touched = {line.event.key for send in sends for line in send.lines if line.event is not None}
        self.played = self._result(played, expected, right_at, touched)

    def _begin(self, played: Round) -> None:
        """Prepare what is going to go wrong."""
        arena, trouble = self._arena, played.trouble
        if trouble is Trouble.RECUT and played.cut is not BatchCut.BACK:
            arena.planned_faults.cut = played.cut
            arena.fail_next()
        elif trouble is Trouble.ZOMBIE:
            arena.freeze_next()
        elif trouble is Trouble.TRIM:
            for mapping in arena.mappings[1:]:
                mapping.pause()

    def _course(self, played: Round, expected: ExpectedTotals) -> Iterator[TotalsSample]:
        """The round's minute, the time that passes beside, and the minute after it."""
        minute = played.start + played.minute
        if played.cut is BatchCut.BACK:
            # While there is something to be cut: some batches are finished, and others follow.
            yield from self._watch(played.start + played.sending / 2, expected)
            self._deliver_again(cut=True)
        yield from self._watch(minute, expected)
        self.player.observe(played.number)
        if not played.skip:
            return
        self._run(minute + played.skip)
        if played.trouble is Trouble.REPLAY:
            self._deliver_again(cut=False)
        elif played.trouble is Trouble.TRIM:
            for mapping in self._arena.mappings[1:]:
                mapping.resume()
        yield self._sample(expected, played.skip)
        yield from self._watch(played.end, expected)
        self.player.observe(played.number)

    def _deliver_again(self, *, cut: bool) -> None:
        for mapping in self._arena.mappings:
            mapping.deliver_again(cut=cut)

    def _watch(self, until: float, expected: ExpectedTotals) -> Iterator[TotalsSample]:
        at = self._arena.seconds
        while at < until:
            at = min(at + SAMPLE_SECONDS, until)
            self._run(at)
            yield self._sample(expected)

    def _run(self, until: float) -> None:
        self._arena.scheduler.run(START + until, _never)

    def _sample(self, expected: ExpectedTotals, skipped: float = 0.0) -> TotalsSample:
        rows = grown(self.player.rows(), self._base)
        right = self._wrong(expected, rows) is None
        arena = self._arena
        return TotalsSample(arena.seconds, rows, arena.processed, right, tuple(arena.incidents)[-3:], skipped)

    def _wrong(self, expected: ExpectedTotals, rows: dict[Node, Row]) -> Wrong | None:
        return first_wrong(self._kept(expected), rows, self.player.tolerance)

    def _kept(self, expected: ExpectedTotals) -> dict[Node, Row]:
        kept = ((node, self.player.kept(node, row)) for node, row in expected.rows().items())
        return {node: row for node, row in kept if row is not None}

    def _result(
        self, played: Round, expected: ExpectedTotals, right_at: float | None, touched: set[str]
    ) -> PlayedRound:
        rows = self.player.rows()
        wrong = self._wrong(expected, grown(rows, self._base))
        account = None if wrong is None else self.player.account(wrong, expected, touched)
        self.player.end_round(expected, touched)
        right_after = None if right_at is None else right_at - played.judged_from
        late = wrong is None and (right_after is None or right_after > WINDOW_SECONDS)
        return PlayedRound(
            right_after,
            wrong,
            account,
            _hash(rows),
            dict(self._arena.invocations),
            self.player.late() if late else (),
        )

    def _send(self, name: str, send: Send) -> None:
        entries = [
            {"Data": b"\n".join(line.data for line in lines), "PartitionKey": key} for key, lines in send.records
        ]
        self._arena.tasks.start(name, partial(self._put, entries))

    def _put(self, entries: list[dict[str, Any]]) -> None:
        client = self._arena.client("kinesis")
        for first in range(0, len(entries), _CALL):
            client.put_records(StreamName=self.player.stream, Records=entries[first : first + _CALL])


def _hash(rows: dict[Node, Row]) -> str:
    text = "\n".join(f"{node.rollup} {node.labels} {[str(number) for number in rows[node]]}" for node in sorted(rows))
    return sha256(text.encode()).hexdigest()[:16]


def _never() -> bool:
    return False
