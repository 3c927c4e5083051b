"""What may happen in a step, and which of it is a fault."""

from enum import StrEnum
from typing import NamedTuple

from oncefold_lab.model.state import Folding, Reducing, State

Run = Folding | Reducing | int
"""An invocation: of StateLambda, of ReduceLambda, or a sweep."""


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
    ]
)
"""What the protocol bears, and what must cease for it to finish."""


BEGINNINGS = frozenset([Op.DELIVERED, Op.REPEATED, Op.TAKEN, Op.TAKEN_AGAIN])
"""What an invocation begins with; a sweep begins with the first delta it sees."""


class Step(NamedTuple):
    """One step: what happens to which invocation, and the state after it."""

    op: Op
    before: Run | None
    """The invocation before it, or as it begins; None if it is about none."""
    after: Run | None
    """The invocation after it; None if it has ended."""
    about: int
    """A key, a chunk's bit, a shard, a number of records, or the bits of deltas; the kind of step says which."""
    state: State
