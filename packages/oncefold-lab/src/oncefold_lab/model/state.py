"""A state of the model: what the tables hold, how far Lambda has delivered, and what every invocation knows.

All of it is small integers in tuples, so that a state is its own key. Sets of deltas, conflicts and chunks are bits of
an integer; `world` says which bit is what. A key's state is its number on the key's ladder, 0 for none.
"""

from typing import NamedTuple

UNREAD, AGAIN, DONE = -1, -2, -3
"""What an invocation knows of a key beside a state that it read: nothing; refused, to be read again; finished."""


class Tables(NamedTuple):
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


class State(NamedTuple):
    """Everything. Invocations of one function are in order, since nothing tells them apart but what they know."""

    tables: Tables
    checkpoints: tuple[int, ...]
    """The position in each shard before which Lambda takes all records for finished."""
    folding: tuple[Folding, ...]
    reducing: tuple[Reducing, ...]
    sweeping: tuple[int, ...]
    """For each sweep under way, the deltas that it has seen and not yet applied."""

    # Written out, since these are what an exploration does most: NamedTuple's own `_replace` takes twice the time.

    def with_tables(self, tables: Tables) -> "State":
        """The same with other tables."""
        return State(tables, self.checkpoints, self.folding, self.reducing, self.sweeping)

    def with_checkpoint(self, shard: int, checkpoint: int) -> "State":
        """The same with another checkpoint of a shard."""
        return State(
            self.tables, replaced(self.checkpoints, shard, checkpoint), self.folding, self.reducing, self.sweeping
        )

    def with_folding(self, *folding: Folding) -> "State":
        """The same with these invocations of StateLambda."""
        return State(self.tables, self.checkpoints, tuple(sorted(folding)), self.reducing, self.sweeping)

    def with_reducing(self, *reducing: Reducing) -> "State":
        """The same with these invocations of ReduceLambda."""
        return State(self.tables, self.checkpoints, self.folding, tuple(sorted(reducing)), self.sweeping)

    def with_sweeping(self, *sweeping: int) -> "State":
        """The same with these sweeps."""
        return State(self.tables, self.checkpoints, self.folding, self.reducing, tuple(sorted(sweeping)))


def replaced(numbers: tuple[int, ...], place: int, number: int) -> tuple[int, ...]:
    """The numbers with one of them replaced."""
    return (*numbers[:place], number, *numbers[place + 1 :])
