"""The protocol's rules as switches: the defaults are the protocol, any other setting is a known way to get it wrong."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from oncefold.core.definition import Pipeline
from oncefold.core.event import Event
from oncefold.core.fold import Node, Outcome, Stored, Total, fold, net

Fold = Callable[[Stored | None, Event], tuple[Outcome, Stored]]
Net = Callable[[Pipeline, Iterable[tuple[Stored | None, Stored | None]]], dict[Node, Total]]


@dataclass(frozen=True, slots=True)
class Rules:
    """How the functions behave."""

    fold: Fold = fold
    net: Net = net
    state_condition: Literal["version and content", "version", "none"] = "version and content"
    """What must still stand where a new state is put."""
    delta_condition: bool = True
    """Whether a delta is put only where there is none of its id."""
    transactions: Literal["one", "delta first", "state first"] = "one"
    """Whether states and deltas are written together, or else which come first."""
    refused: Literal["read again", "insist", "take for done"] = "read again"
    """What StateLambda does about keys whose condition failed."""
    tokens_of: Literal["content", "first record"] = "content"
    """What tokens are made of; a mismatch of the second kind is taken for success."""
    keeps_deletes: bool = True
    """Whether a deleted key's version stays."""
    keeps_tail: bool = True
    """Whether what did not fit into the first chunk gets one of its own."""
    keeps_unfinished: bool = True
    """Whether the answer names the first record that is not finished when the time is up."""
    notes_first: bool = True
    """Whether contradictions are noted before the states are written, or after."""
    reduce_condition: bool = True
    """Whether ReduceLambda deletes deltas on the condition that they exist."""
    sweep_condition: bool = True
    """Whether the sweeper does."""
    sweeps: bool = True
    """Whether there is a sweeper."""


PROTOCOL = Rules()
