"""A state of the model and the steps between states: tables, deliveries, invocations, and which steps are faults.

All of it is small integers in tuples, so that a state is its own key. Sets of deltas, conflicts and chunks are bits of
an integer; `world` says which bit is what. A key's state is its number on the key's ladder, 0 for none.
"""

from enum import StrEnum
from typing import NamedTuple

UNREAD, AGAIN, DONE = -1, -2, -3
"""What an invocation knows of a key beside a state that it read: nothing; refused, to be read again; finished."""
OVER = -4
"""In economy mode, less the number of a state: the key is written over that state, whose conflicts are to be noted."""


class ChangeLog(NamedTuple):
    """In economy mode: StateTable's stream and how far it is netted."""

    records: tuple[tuple[int, ...], ...]
    """The changes of states in each of its shards, in their order."""
    positions: tuple[int, ...]
    """AggregateTable: how many records of each shard are netted."""
    netted: tuple[int, ...]
    """History: the records of each shard whose changes were put into deltas, as bits."""
    twice: int
    """History: how many were put into deltas once more."""


NO_LOG = ChangeLog((), (), (), 0)
"""That of standard mode."""


class ModelTables(NamedTuple):
    """What is in DynamoDB, and what an observer of its history adds."""

    stored: tuple[int, ...]
    """StateTable: the state of each key."""
    outbox: int
    """ReduceTable: the deltas that are there."""
    unread: int
    """Its stream: the deltas whose record is not done with."""
    totals: int
    """AggregateTable, packed."""
    notes: int
    """RejectTable: the conflicts that are noted."""
    applied: int
    """History: the deltas that were added to the totals."""
    twice: int
    """History: those that were added more than once."""
    done: int
    """History: the chunks that were written, whose tokens may be remembered."""
    tokens: tuple[tuple[int, int], ...]
    """What was done under which token, where a token is not a hash of the content."""
    log: ChangeLog = NO_LOG


class Folding(NamedTuple):
    """An invocation of StateLambda."""

    batch: int
    answers: bool
    """Whether Lambda waits for its answer; it does not for a zombie."""
    keys: tuple[int, ...]
    """What it knows of each of the batch's keys: a state that was read, UNREAD, AGAIN or DONE."""


class Reducing(NamedTuple):
    """An invocation of ReduceLambda."""

    batch: int
    """The deltas that its answer is about; none if Lambda does not wait for it."""
    left: int
    """Those not yet known to be applied."""


class Netting(NamedTuple):
    """An invocation of NetLambda."""

    shard: int
    begin: int
    """Where its batch begins; UNREAD for a zombie, whose answer Lambda does not wait for."""
    first: int
    """The first record that it does not know to be netted."""
    end: int
    """Where its batch ends."""
    position: int
    """The position that it read, or moved last."""


class State(NamedTuple):
    """Everything. Invocations of one function are in order, since nothing distinguishes them but what they know."""

    tables: ModelTables
    checkpoints: tuple[int, ...]
    """The position in each shard before which Lambda takes all records for finished."""
    folding: tuple[Folding, ...]
    reducing: tuple[Reducing, ...]
    sweeping: tuple[int, ...]
    """For each sweep under way, the deltas that it has seen and not yet applied."""
    read: tuple[int, ...] = ()
    """In economy mode: the place in each shard of StateTable's stream before which Lambda takes all for finished."""
    netting: tuple[Netting, ...] = ()

    # Written out, since these are what an exploration does most: NamedTuple's own `_replace` takes twice the time.

    def with_tables(self, tables: ModelTables) -> "State":
        """The same with other tables."""
        _, checkpoints, folding, reducing, sweeping, read, netting = self
        return State(tables, checkpoints, folding, reducing, sweeping, read, netting)

    def with_checkpoint(self, shard: int, checkpoint: int) -> "State":
        """The same with another checkpoint of a shard."""
        tables, checkpoints, folding, reducing, sweeping, read, netting = self
        return State(tables, replaced(checkpoints, shard, checkpoint), folding, reducing, sweeping, read, netting)

    def with_folding(self, *folding: Folding) -> "State":
        """The same with these invocations of StateLambda."""
        tables, checkpoints, _, reducing, sweeping, read, netting = self
        return State(tables, checkpoints, tuple(sorted(folding)), reducing, sweeping, read, netting)

    def with_reducing(self, *reducing: Reducing) -> "State":
        """The same with these invocations of ReduceLambda."""
        tables, checkpoints, folding, _, sweeping, read, netting = self
        return State(tables, checkpoints, folding, tuple(sorted(reducing)), sweeping, read, netting)

    def with_sweeping(self, *sweeping: int) -> "State":
        """The same with these sweeps."""
        tables, checkpoints, folding, reducing, _, read, netting = self
        return State(tables, checkpoints, folding, reducing, tuple(sorted(sweeping)), read, netting)

    def with_read(self, shard: int, place: int) -> "State":
        """The same with another place in a shard of StateTable's stream."""
        tables, checkpoints, folding, reducing, sweeping, read, netting = self
        return State(tables, checkpoints, folding, reducing, sweeping, replaced(read, shard, place), netting)

    def with_netting(self, *netting: Netting) -> "State":
        """The same with these invocations of NetLambda."""
        tables, checkpoints, folding, reducing, sweeping, read, _ = self
        return State(tables, checkpoints, folding, reducing, sweeping, read, tuple(sorted(netting)))


def replaced(numbers: tuple[int, ...], place: int, number: int) -> tuple[int, ...]:
    """The numbers with one of them replaced."""
    return (*numbers[:place], number, *numbers[place + 1 :])


Run = Folding | Reducing | Netting | int
"""An invocation: of StateLambda, of ReduceLambda, of NetLambda, or a sweep."""


class Op(StrEnum):
    """Kinds of steps."""

    DELIVERED = "batch delivered"
    REPEATED = "batch delivered beside"
    REWOUND = "checkpoint moved back"
    READ = "state read"
    NOTED = "conflict noted"
    WRITTEN = "chunk written"
    UNHEARD = "chunk written, answer lost"
    REMEMBERED = "token remembered"
    REFUSED = "chunk refused"
    HALVED = "chunk written by half"
    MISMATCHED = "token mismatched"
    ANSWERED = "batch answered"
    CUT_SHORT = "batch answered in part"
    CRASHED = "invocation crashed"
    TAKEN = "deltas delivered"
    TAKEN_AGAIN = "deltas delivered beside"
    AGED_OUT = "announcement aged out"
    APPLIED = "deltas applied"
    APPLIED_UNHEARD = "deltas applied, answer lost"
    GONE = "deltas found gone"
    LEFT = "deltas answered in part"
    SEEN = "delta scanned"
    PUT = "state written"
    PUT_UNHEARD = "state written, answer lost"
    REFUSED_STATE = "state refused"
    HANDED = "changes delivered"
    HANDED_AGAIN = "changes delivered beside"
    RETURNED = "place in the changes moved back"
    NETTED = "changes netted"
    NETTED_UNHEARD = "changes netted, answer lost"
    NETTED_BEFORE = "token of changes remembered"
    NETTED_BY_HALF = "changes netted by half"
    OVERTAKEN = "position found moved"
    NET_LEFT = "changes answered in part"
    GIVEN_UP = "changes given up"


FAULTS = frozenset(
    [
        Op.REPEATED,
        Op.REWOUND,
        Op.UNHEARD,
        Op.HALVED,
        Op.CUT_SHORT,
        Op.CRASHED,
        Op.TAKEN_AGAIN,
        Op.AGED_OUT,
        Op.APPLIED_UNHEARD,
        Op.LEFT,
        Op.PUT_UNHEARD,
        Op.HANDED_AGAIN,
        Op.RETURNED,
        Op.NETTED_UNHEARD,
        Op.NETTED_BY_HALF,
        Op.NET_LEFT,
        Op.GIVEN_UP,
    ]
)
"""What the protocol bears, and what must cease for it to finish."""


BEGINNINGS = frozenset([Op.DELIVERED, Op.REPEATED, Op.TAKEN, Op.TAKEN_AGAIN, Op.HANDED, Op.HANDED_AGAIN])
"""What an invocation begins with; a sweep begins with the first delta it sees."""


class ModelStep(NamedTuple):
    """One step: what happens to which invocation, and the state after it."""

    op: Op
    before: Run | None
    """The invocation before it, or as it begins; None if it is about none."""
    after: Run | None
    """The invocation after it; None if it has ended."""
    about: int
    """A key, a change, a chunk's bit, a shard, a number of records, or the bits of deltas; the kind says which."""
    state: State
