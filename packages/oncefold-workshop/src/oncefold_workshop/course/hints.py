"""Hints after a lost round: from what the functions were seen to do to the next step of the course.

Each is a pure function of an observation. The first that apply are the ones to begin with: what never happened comes
before what fails, what fails before what is wrong, and what is wrong in lab 2 before lab 3. No hint names a lab that
the learner has not come to.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from oncefold_workshop.course.functions import LearnerFunctions
from oncefold_workshop.course.observer import (
    ACTIONS,
    CENTS,
    INVALID,
    MAP,
    MISMATCH,
    REDUCE,
    STATE,
    SWEEP,
    CallCounts,
    FunctionObservation,
)
from oncefold_workshop.game.rules import WINDOW_SECONDS, Mode
from oncefold_workshop.pipelines.settings import TABLES


@dataclass(frozen=True, slots=True)
class Hint:
    """What was seen, and where the course goes on."""

    name: str
    finding: str
    step: str
    """As the course numbers it: `2.3` is lab 2, step 3."""

    @property
    def lab(self) -> int:
        """The lab of its step."""
        return int(self.step.partition(".")[0])

    @property
    def text(self) -> str:
        """For a person."""
        lab, _, step = self.step.partition(".")
        return f"{self.finding} See docs/COURSE.md, lab {lab}, step {step}."


def hints(observation: FunctionObservation) -> tuple[Hint, ...]:
    """Every hint that applies and names no lab beyond the one that is reached, the first to follow first."""
    found = (hint for rule in _RULES for hint in rule(observation))
    return tuple(hint for hint in found if hint.lab <= observation.reached)


def reached_lab(mode: Mode, functions: LearnerFunctions, seen: Mapping[str, CallCounts]) -> int:
    """The lab that a learner has come to: by the mode that is played, and by what the functions have of it already."""
    if functions.map is None or mode is Mode.EXPERT:
        return 3
    reduce = seen.get(REDUCE, CallCounts())
    return 2 if mode is Mode.HARD or reduce.largest else 1


def late_hint(seen: Mapping[str, CallCounts]) -> Hint:
    """For totals that were right too late: which function took the time."""
    name, counts = max(seen.items(), key=lambda item: item[1].seconds)
    text = (
        f"Every node was right, but more than {WINDOW_SECONDS:.0f} s after the last message. {name} took longest: "
        f"{counts.seconds:,.0f} s in {_times(counts.invocations, 'invocation')} with {_times(counts.calls, 'call')}. "
        "Make fewer calls, and wait less."
    )
    return Hint("late", text, "1.4")


def _times(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _unconnected(seen: FunctionObservation) -> Iterator[Hint]:
    for function in seen.unconnected[:1]:
        text = f"{function} has no trigger in the stack file, so nothing invokes it."
        yield Hint("no trigger", text, "1.5")


def _never_written(seen: FunctionObservation) -> Iterator[Hint]:
    """Nothing arrives in a table, so whoever reads its stream is never called."""
    state, middle = seen.of(STATE), seen.functions.map is not None
    if seen.unconnected:
        return
    if not state.writes[TABLES.state]:
        unheard = f"{MAP} was never called" if middle else "there is nothing to add up"
        text = f"{STATE} ran {_times(state.invocations, 'time')} and wrote nothing into {TABLES.state}, so {unheard}."
        yield Hint("no state", text, "1.1")
        return
    writer, step = (MAP, "1.2") if middle else (STATE, "3.2")
    if not seen.of(writer).writes[TABLES.reduce]:
        ran = _times(seen.of(writer).invocations, "time")
        text = f"{writer} ran {ran} and wrote nothing into {TABLES.reduce}, so {REDUCE} was never called."
        yield Hint("no sums", text, step)
    elif not seen.of(REDUCE).writes[TABLES.aggregate]:
        ran = _times(seen.of(REDUCE).invocations, "time")
        text = f"{REDUCE} ran {ran} and wrote nothing into {TABLES.aggregate}, where the totals are read."
        yield Hint("no totals", text, "1.3" if middle else "3.3")


def _too_many(seen: FunctionObservation) -> Iterator[Hint]:
    for function, one in seen.seen.items():
        if one.largest > ACTIONS:
            text = f"{function} sent a transaction of {one.largest:,} actions; DynamoDB takes {ACTIONS} at most."
            step = "2.3" if seen.functions.map is not None else "3.2" if function == STATE else "3.3"
            yield Hint("too many actions", text, step)


def _failing(seen: FunctionObservation) -> Iterator[Hint]:
    for function, one in seen.seen.items():
        if one.failed and one.largest <= ACTIONS:
            text = f"{function} failed by itself in {one.failed:,} of {_times(one.invocations, 'invocation')}"
            again = "Lambda delivers such a batch again until it succeeds, and nothing behind it."
            yield Hint("failing", f"{text}, last with {one.failure}. {again}", "1.4")
        if one.timed_out:
            text = (
                f"{function} was still at work after 10 s in {_times(one.timed_out, 'invocation')}, and was given up."
            )
            yield Hint("timed out", f"{text} Make fewer calls, or end what is repeated.", "1.4")


def _unconditioned_state(seen: FunctionObservation) -> Iterator[Hint]:
    one = seen.of(STATE)
    if one.unconditioned[TABLES.state]:
        text = f"{STATE} writes into {TABLES.state} without a condition, so an older version can replace a newer one."
        yield Hint("no condition", text, "2.1")


def _passed_over(seen: FunctionObservation) -> Iterator[Hint]:
    """Errors of DynamoDB that were taken for success."""
    for function, one in seen.seen.items():
        if one.swallowed[MISMATCH]:
            text = f"{function} passed over {MISMATCH} {_times(one.swallowed[MISMATCH], 'time')}."
            yield Hint(
                "mismatch swallowed",
                f"{text} It says that a token was used for other content, and that nothing was written: a loss.",
                "2.3",
            )
        if one.swallowed[INVALID]:
            text = (
                f"{function} passed over {INVALID} {_times(one.swallowed[INVALID], 'time')}: nothing was written then."
            )
            yield Hint("refusal swallowed", text, "1.4")
        if one.given_up:
            text = f"{function} ended well {_times(one.given_up, 'time')} right after its transaction was cancelled."
            text += " Cancelled means that none of it was written."
            step = "2.3" if seen.functions.map is not None else "3.2" if function == STATE else "3.3"
            yield Hint("cancelled and left", text, step)


def _map_counts_twice(seen: FunctionObservation) -> Iterator[Hint]:
    if seen.because("MapLambda got their batch"):
        text = (
            f"{MAP} puts the sums of a batch that comes again under another name: nothing shows that they were there."
        )
        yield Hint("sums twice", text, "2.2")


def _reduce_counts_twice(seen: FunctionObservation) -> Iterator[Hint]:
    """With a MapLambda, ReduceLambda's transaction needs a token."""
    one = seen.of(REDUCE)
    if seen.functions.map is None:
        return
    if one.lone[TABLES.aggregate]:
        text = f"{REDUCE} changes {TABLES.aggregate} call by call; if it fails in between, its batch is added again."
        yield Hint("added one by one", text, "2.3")
    elif one.tokenless:
        text = f"{REDUCE} sends transactions without a token, so a batch that comes again is added again."
        yield Hint("no token", text, "2.3")
    elif seen.because("ReduceLambda got their batch") and not seen.because("after ten minutes"):
        text = f"{REDUCE} sends another token when a batch comes again, so it is added again."
        yield Hint("another token", text, "2.3")


def _batches_move(seen: FunctionObservation) -> Iterator[Hint]:
    """What hashes of batches cannot distinguish."""
    if seen.because("other boundaries"):
        text = "The same records came in batches of other boundaries, and a hash of a batch knows only the whole batch."
        yield Hint("cut anew", text, "3.1")
    if seen.because("after ten minutes") and not seen.of(REDUCE).tokenless:
        text = "A batch came again after its token was forgotten; DynamoDB keeps a token for ten minutes."
        yield Hint("token forgotten", text, "3.1")
    if seen.functions.map is not None and _trimmed(seen):
        text = "Records left a stream before a function read them: DynamoDB keeps them for 24 hours."
        yield Hint("stream trimmed", f"{text} What waits only in a stream can be lost.", "3.1")


def _trimmed(seen: FunctionObservation) -> bool:
    calm = not any(one.failed or one.timed_out for one in seen.seen.values())
    lost = seen.because("no invocation of MapLambda ever got them") or seen.because("never added their sums")
    return calm and lost


def _outbox(seen: FunctionObservation) -> Iterator[Hint]:
    """What an outbox needs, where there is no MapLambda."""
    if seen.functions.map is not None or not seen.of(STATE).writes[TABLES.reduce]:
        return
    reduce, sweep = seen.of(REDUCE), seen.of(SWEEP)
    if not seen.of(STATE).together:
        text = f"{STATE} writes states and their delta apart; what fails in between leaves one without the other."
        yield Hint("state and delta apart", text, "3.2")
    if any(one.writes[TABLES.aggregate] and not one.deletes[TABLES.reduce] for one in (reduce, sweep)):
        text = f"Deltas are added and stay in {TABLES.reduce}, so one that comes again is added again."
        yield Hint("deltas stay", text, "3.3")
    elif reduce.free_deletes[TABLES.reduce] or sweep.free_deletes[TABLES.reduce]:
        text = "Deltas are deleted without the condition that they are there, so one that is gone is added again."
        yield Hint("deleted unconditionally", text, "3.3")
    elif reduce.apart or sweep.apart:
        text = "Deltas are added in one request and deleted in another; what fails in between is added again."
        yield Hint("added and deleted apart", text, "3.3")
    elif seen.functions.sweep is None and seen.items[TABLES.reduce]:
        waiting = _times(seen.items[TABLES.reduce], "delta")
        text = f"{waiting} wait in {TABLES.reduce}, and no stream record announces them."
        yield Hint("nothing sweeps", text, "3.4")


def _floats(seen: FunctionObservation) -> Iterator[Hint]:
    if seen.places > CENTS:
        text = (
            f"Sums were written with {seen.places} decimal places, though every value has {CENTS}: that is float error."
        )
        yield Hint("floats", text, "3.5")


_RULES: tuple[Callable[[FunctionObservation], Iterator[Hint]], ...] = (
    _unconnected,
    _never_written,
    _too_many,
    _failing,
    _passed_over,
    _unconditioned_state,
    _map_counts_twice,
    _reduce_counts_twice,
    _batches_move,
    _outbox,
    _floats,
)
"""In the order in which a learner best follows them."""
