"""False claims, to see that the exploration gets where they fail, and how."""

from collections.abc import Callable

from oncefold_lab.model.claims import Claim, balanced
from oncefold_lab.model.protocol import Protocol
from oncefold_lab.model.scenario import Scenario
from oncefold_lab.model.scenarios import CORRECTION, OUTBOX, PARTIAL
from oncefold_lab.model.state import State
from oncefold_lab.model.steps import Op, Step
from oncefold_lab.model.trial import Trial


def _without_outbox(protocol: Protocol, state: State) -> bool:
    return balanced(protocol, state._replace(tables=state.tables._replace(outbox=0)))


def _never(op: Op) -> Callable[[Protocol, State, Step], bool]:
    def holds_at(_: Protocol, __: State, step: Step) -> bool:
        return step.op is not op

    return holds_at


def _one_in_outbox(_: Protocol, state: State) -> bool:
    return state.tables.outbox.bit_count() < 2


def _read_still_stands(protocol: Protocol, state: State) -> bool:
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


def _quiet_for_ever(protocol: Protocol, state: State, _: Step) -> bool:
    return not protocol.quiet(state)


def _none_after_the_end(protocol: Protocol, state: State) -> bool:
    ends = tuple(map(len, protocol.world.scenario.shards))
    return state.checkpoints != ends or not state.folding


def _announced(_: Protocol, state: State) -> bool:
    return not state.tables.outbox & ~state.tables.unread


def _false(scenario: Scenario, claim: Claim) -> Trial:
    return Trial(claim.name, claim.words, scenario, claim)


FALSEHOODS = (
    _false(
        CORRECTION,
        Claim("no-outbox", "the totals alone equal the contributions of the states, in every state", _without_outbox),
    ),
    _false(CORRECTION, Claim("one-delta", "the outbox never holds two deltas", _one_in_outbox)),
    _false(
        CORRECTION, Claim("fresh-read", "what an invocation of StateLambda has read still stands", _read_still_stands)
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
)
