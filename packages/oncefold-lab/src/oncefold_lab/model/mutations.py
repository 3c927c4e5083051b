"""Known ways to get the protocol wrong, each with the claim that it breaks and a scenario that shows it."""

from collections.abc import Iterable

from oncefold.core.definition import Pipeline
from oncefold.core.event import Event
from oncefold.core.fold import Node, Outcome, Stored, Total, fold, net
from oncefold_lab.model.claims import BALANCED, EXACT, GROWS, NOTED, ONCE, SETTLES, Claim
from oncefold_lab.model.rules import Rules
from oncefold_lab.model.scenario import Scenario
from oncefold_lab.model.scenarios import CONFLICT, CORRECTION, DELETE, OUTBOX, PARTIAL
from oncefold_lab.model.trial import Trial


def _stale_too(stored: Stored | None, event: Event) -> tuple[Outcome, Stored]:
    """Whatever comes is taken."""
    outcome, after = fold(stored, event)
    return (Outcome.CORRECTED, Stored(event.version, event.content)) if outcome is Outcome.STALE else (outcome, after)


def _first_come(stored: Stored | None, event: Event) -> tuple[Outcome, Stored]:
    """Of two contents of one version the first to come stands."""
    outcome, after = fold(stored, event)
    if outcome is Outcome.CONFLICT_WON and stored is not None:
        return Outcome.CONFLICT_LOST, stored
    return outcome, after


def _old_leaf_stays(pipeline: Pipeline, changes: Iterable[tuple[Stored | None, Stored | None]]) -> dict[Node, Total]:
    """A key that moves is added to its new leaf and not taken out of its old one."""
    return net(pipeline, ((None if _moves(before, after) else before, after) for before, after in changes))


def _moves(before: Stored | None, after: Stored | None) -> bool:
    if before is None or after is None or before.content.deleted or after.content.deleted:
        return False
    return before.content.labels != after.content.labels


def _wrong(name: str, words: str, rules: Rules, scenario: Scenario, claim: Claim) -> Trial:
    return Trial(name, words, scenario, claim, rules)


MUTATIONS = (
    _wrong("no-condition", "states are put without a condition", Rules(state_condition="none"), CORRECTION, EXACT),
    _wrong(
        "version-alone",
        "states are put on the condition that the version still stands, whatever the content",
        Rules(state_condition="version"),
        CONFLICT,
        EXACT,
    ),
    _wrong(
        "token-only",
        "a token, which may be forgotten, in the place of StateLambda's conditions",
        Rules(state_condition="none", delta_condition=False),
        CONFLICT,
        ONCE,
    ),
    _wrong(
        "mismatch-swallowed",
        "the token names the batch by its first record, and a mismatch is taken for success",
        Rules(tokens_of="first record"),
        CORRECTION,
        EXACT,
    ),
    _wrong(
        "delta-first",
        "deltas are written in a transaction before that of the states",
        Rules(transactions="delta first"),
        CORRECTION,
        EXACT,
    ),
    _wrong(
        "state-first",
        "deltas are written in a transaction after that of the states",
        Rules(transactions="state first"),
        CORRECTION,
        EXACT,
    ),
    _wrong(
        "refused-is-done",
        "a failed condition is taken for a sign that another did it",
        Rules(refused="take for done"),
        CORRECTION,
        EXACT,
    ),
    _wrong("no-rereading", "what was refused is sent again as it was", Rules(refused="insist"), CONFLICT, SETTLES),
    _wrong(
        "checkpoint-past",
        "the answer names the record after the first unfinished one",
        Rules(keeps_unfinished=False),
        CORRECTION,
        EXACT,
    ),
    _wrong("dropped-tail", "changes beyond the first chunk are dropped", Rules(keeps_tail=False), PARTIAL, EXACT),
    _wrong("forgotten-delete", "a deleted key loses its version", Rules(keeps_deletes=False), DELETE, EXACT),
    _wrong("stale-taken", "an event of a lower version is taken", Rules(fold=_stale_too), CORRECTION, GROWS),
    _wrong(
        "first-come",
        "of two contents of one version the first to come stands",
        Rules(fold=_first_come),
        CONFLICT,
        EXACT,
    ),
    _wrong("old-leaf", "a key that moves stays in its old leaf", Rules(net=_old_leaf_stays), CORRECTION, BALANCED),
    _wrong("noted-late", "conflicts are noted after the states are written", Rules(notes_first=False), CONFLICT, NOTED),
    _wrong(
        "free-delete", "ReduceLambda deletes deltas without a condition", Rules(reduce_condition=False), OUTBOX, ONCE
    ),
    _wrong("free-sweep", "the sweeper deletes deltas without a condition", Rules(sweep_condition=False), OUTBOX, ONCE),
    _wrong("no-sweeper", "nobody looks for deltas whose stream records are lost", Rules(sweeps=False), OUTBOX, SETTLES),
)
