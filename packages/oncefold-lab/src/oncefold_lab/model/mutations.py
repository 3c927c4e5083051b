"""Known ways to get the protocol wrong, and false claims, each with a scenario that shows it."""

from collections.abc import Callable, Iterable

from oncefold.core.definition import Pipeline
from oncefold.core.event import Event
from oncefold.core.fold import Node, Outcome, Stored, Total, fold, net
from oncefold_lab.model.protocol import (
    BALANCED,
    COUNTED,
    EXACT,
    FORWARD,
    GROWS,
    NOTED,
    ONCE,
    TERMINATES,
    Claim,
    ExpectedFailure,
    Protocol,
    balanced,
)
from oncefold_lab.model.scenario import ModelScenario, ProtocolRules
from oncefold_lab.model.scenarios import (
    CONFLICT,
    CORRECTION,
    DELETE,
    OUTBOX,
    PARTIAL,
    POSITION,
    STEPS,
    TIE,
    TWO_SHARDS,
    UNREAD_CONTENTS,
    UNREAD_STATES,
)
from oncefold_lab.model.state import ModelStep, Op, State


def _stale_too(stored: Stored | None, event: Event) -> tuple[Outcome, Stored]:
    """Whatever comes is taken."""
    outcome, after = fold(stored, event)
    return (Outcome.CORRECTED, Stored(event.version, event.content)) if outcome is Outcome.STALE else (outcome, after)


def _first_come(stored: Stored | None, event: Event) -> tuple[Outcome, Stored]:
    """Of two contents of one version the first to come is current."""
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


def _wrong(name: str, description: str, rules: ProtocolRules, scenario: ModelScenario, claim: Claim) -> ExpectedFailure:
    return ExpectedFailure(name, description, scenario, claim, rules)


MUTATIONS = (
    _wrong(
        "no-condition", "states are put without a condition", ProtocolRules(state_condition="none"), CORRECTION, EXACT
    ),
    _wrong(
        "version-alone",
        "states are put on the condition that the version is unchanged, whatever the content",
        ProtocolRules(state_condition="version"),
        CONFLICT,
        EXACT,
    ),
    _wrong(
        "token-only",
        "a token, which may be forgotten, in the place of StateLambda's conditions",
        ProtocolRules(state_condition="none", delta_condition=False),
        CONFLICT,
        ONCE,
    ),
    _wrong(
        "mismatch-swallowed",
        "the token names the batch by its first record, and a mismatch is taken for success",
        ProtocolRules(tokens_of="first record"),
        CORRECTION,
        EXACT,
    ),
    _wrong(
        "delta-first",
        "deltas are written in a transaction before that of the states",
        ProtocolRules(transactions="delta first"),
        CORRECTION,
        EXACT,
    ),
    _wrong(
        "state-first",
        "deltas are written in a transaction after that of the states",
        ProtocolRules(transactions="state first"),
        CORRECTION,
        EXACT,
    ),
    _wrong(
        "refused-is-done",
        "a failed condition is taken for a sign that another did it",
        ProtocolRules(refused="take for done"),
        CORRECTION,
        EXACT,
    ),
    _wrong(
        "no-rereading",
        "what was refused is sent again as it was",
        ProtocolRules(refused="insist"),
        CONFLICT,
        TERMINATES,
    ),
    _wrong(
        "checkpoint-past",
        "the answer names the record after the first unfinished one",
        ProtocolRules(keeps_unfinished=False),
        CORRECTION,
        EXACT,
    ),
    _wrong(
        "dropped-tail", "changes beyond the first chunk are dropped", ProtocolRules(keeps_tail=False), PARTIAL, EXACT
    ),
    _wrong("forgotten-delete", "a deleted key loses its version", ProtocolRules(keeps_deletes=False), DELETE, EXACT),
    _wrong("stale-taken", "an event of a lower version is taken", ProtocolRules(fold=_stale_too), CORRECTION, GROWS),
    _wrong(
        "first-come",
        "of two contents of one version the first to come is current",
        ProtocolRules(fold=_first_come),
        CONFLICT,
        EXACT,
    ),
    _wrong(
        "old-leaf", "a key that moves stays in its old leaf", ProtocolRules(net=_old_leaf_stays), CORRECTION, BALANCED
    ),
    _wrong(
        "noted-late",
        "conflicts are noted after the states are written",
        ProtocolRules(notes_first=False),
        CONFLICT,
        NOTED,
    ),
    _wrong(
        "free-delete",
        "ReduceLambda deletes deltas without a condition",
        ProtocolRules(reduce_condition=False),
        OUTBOX,
        ONCE,
    ),
    _wrong(
        "free-sweep",
        "the sweeper deletes deltas without a condition",
        ProtocolRules(sweep_condition=False),
        OUTBOX,
        ONCE,
    ),
    _wrong(
        "no-sweeper",
        "nobody searches for deltas whose stream records are lost",
        ProtocolRules(sweeps=False),
        OUTBOX,
        TERMINATES,
    ),
    _wrong(
        "unread-unconditioned",
        "in economy mode a state is written unread without a condition",
        ProtocolRules(unread_condition="none"),
        UNREAD_STATES,
        GROWS,
    ),
    _wrong(
        "equal-replaced",
        "in economy mode a state of the same version is replaced unread",
        ProtocolRules(unread_condition="not higher"),
        TIE,
        GROWS,
    ),
    _wrong(
        "tie-by-version",
        "in economy mode the content that wins is put on the condition of the version alone",
        ProtocolRules(state_condition="version"),
        UNREAD_CONTENTS,
        GROWS,
    ),
    _wrong(
        "refused-is-old",
        "in economy mode what is refused is taken for old",
        ProtocolRules(refused="take for done"),
        TIE,
        EXACT,
    ),
    _wrong(
        "old-image-left",
        "in economy mode a key that moves stays in its old leaf",
        ProtocolRules(net=_old_leaf_stays),
        POSITION,
        BALANCED,
    ),
    _wrong(
        "position-unchecked",
        "NetLambda moves the position without a condition",
        ProtocolRules(position_condition=False),
        POSITION,
        COUNTED,
    ),
    _wrong(
        "position-back",
        "the same: a zombie moves the position back",
        ProtocolRules(position_condition=False),
        POSITION,
        FORWARD,
    ),
    _wrong(
        "deltas-before-position",
        "deltas are written in a transaction before that of the position",
        ProtocolRules(netting="deltas first"),
        POSITION,
        EXACT,
    ),
    _wrong(
        "position-before-deltas",
        "deltas are written in a transaction after that of the position",
        ProtocolRules(netting="position first"),
        POSITION,
        EXACT,
    ),
    _wrong(
        "one-position",
        "all shards of StateTable's stream have one position",
        ProtocolRules(position_of="stream"),
        TWO_SHARDS,
        EXACT,
    ),
    _wrong(
        "position-at-end",
        "the position moves to the end of a batch of which one transaction nets a part",
        ProtocolRules(position_moves_to="end of batch"),
        STEPS,
        EXACT,
    ),
    _wrong(
        "net-answers-done",
        "NetLambda answers that its batch is finished, also where the time is up",
        ProtocolRules(net_keeps_unfinished=False),
        STEPS,
        EXACT,
    ),
    _wrong(
        "lanes",
        "several batches of one shard of StateTable's stream are under way at a time",
        ProtocolRules(one_lane=False),
        POSITION,
        EXACT,
    ),
    _wrong(
        "given-up",
        "Lambda gives up a batch of StateTable's stream after some retries",
        ProtocolRules(retries_for_ever=False),
        POSITION,
        EXACT,
    ),
)


def _without_outbox(protocol: Protocol, state: State) -> bool:
    return balanced(protocol, state._replace(tables=state.tables._replace(outbox=0)))


def _never(op: Op) -> Callable[[Protocol, State, ModelStep], bool]:
    def holds_at(_: Protocol, __: State, step: ModelStep) -> bool:
        return step.op is not op

    return holds_at


def _without_changes(protocol: Protocol, state: State) -> bool:
    log = state.tables.log
    netted = log._replace(positions=tuple(map(len, log.records)))
    return balanced(protocol, state._replace(tables=state.tables._replace(log=netted)))


def _one_in_outbox(_: Protocol, state: State) -> bool:
    return state.tables.outbox.bit_count() < 2


def _read_is_still_current(protocol: Protocol, state: State) -> bool:
    return all(
        known < 0 or state.tables.stored[key] == known
        for run in state.folding
        for key, known in zip(protocol.world.batches.known[run.batch].keys, run.keys, strict=True)
    )


def _held_by_one(_: Protocol, state: State) -> bool:
    held = 0
    for left in (*(run.left for run in state.reducing), *state.sweeping):
        if held & left:
            return False
        held |= left
    return True


def _held_is_there(_: Protocol, state: State) -> bool:
    return not any(left & ~state.tables.outbox for left in (*(run.left for run in state.reducing), *state.sweeping))


def _quiet_for_ever(protocol: Protocol, state: State, _: ModelStep) -> bool:
    return not protocol.quiet(state)


def _none_after_the_end(protocol: Protocol, state: State) -> bool:
    ends = tuple(map(len, protocol.world.scenario.shards))
    return state.checkpoints != ends or not state.folding


def _announced(_: Protocol, state: State) -> bool:
    return not state.tables.outbox & ~state.tables.unread


def _false(scenario: ModelScenario, claim: Claim) -> ExpectedFailure:
    return ExpectedFailure(claim.name, claim.description, scenario, claim)


FALSE_CLAIMS = (
    _false(
        CORRECTION,
        Claim("no-outbox", "the totals alone equal the contributions of the states, in every state", _without_outbox),
    ),
    _false(CORRECTION, Claim("one-delta", "the outbox never holds two deltas", _one_in_outbox)),
    _false(
        CORRECTION,
        Claim("fresh-read", "what an invocation of StateLambda has read is still current", _read_is_still_current),
    ),
    _false(CORRECTION, Claim("no-refusal", "no condition of StateLambda ever fails", of_step=_never(Op.REFUSED))),
    _false(CORRECTION, Claim("no-token", "no token ever answers for a transaction", of_step=_never(Op.REMEMBERED))),
    _false(PARTIAL, Claim("whole-batches", "a batch is never answered in part", of_step=_never(Op.CUT_SHORT))),
    _false(OUTBOX, Claim("whole-groups", "ReduceLambda never answers in part", of_step=_never(Op.LEFT))),
    _false(OUTBOX, Claim("one-holder", "no delta is held by two invocations at once", _held_by_one)),
    _false(OUTBOX, Claim("held-is-there", "a delta that an invocation holds is still in the outbox", _held_is_there)),
    _false(
        OUTBOX, Claim("announced", "every delta in the outbox has a stream record that is not done with", _announced)
    ),
    _false(
        CORRECTION,
        Claim("end-of-work", "when all shards are read to the end, no StateLambda is under way", _none_after_the_end),
    ),
    _false(CORRECTION, Claim("rest", "once all is done, nothing happens any more", of_step=_quiet_for_ever)),
    _false(
        UNREAD_STATES,
        Claim(
            "all-netted",
            "in economy mode totals + outbox alone equal the contributions of the states, in every state",
            _without_changes,
        ),
    ),
    _false(
        UNREAD_STATES,
        Claim(
            "nothing-in-the-way",
            "in economy mode no state is refused that is written",
            of_step=_never(Op.REFUSED_STATE),
        ),
    ),
    _false(POSITION, Claim("not-overtaken", "NetLambda never finds the position moved", of_step=_never(Op.OVERTAKEN))),
    _false(
        POSITION,
        Claim("no-net-token", "no token ever answers for a transaction of NetLambda", of_step=_never(Op.NETTED_BEFORE)),
    ),
    _false(STEPS, Claim("whole-changes", "NetLambda never answers in part", of_step=_never(Op.NET_LEFT))),
)
