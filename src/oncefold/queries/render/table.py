"""Answers as text for people: tables, with lines that say what they are as of and what is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from oncefold.queries.event_model import Conflicts, Explanation, History, Rejects
from oncefold.queries.model import Answer, AsOfCommit, AsOfTime, Pending, Totals, Verification
from oncefold.queries.render import formatting
from oncefold.queries.render.screen import Grid, Screen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from oncefold.queries.event_model import Arrival, RejectedEvent, Side
    from oncefold.queries.model import Amounts, KeyValue, WrongNode

PIECE_CHARS = 60
"""Characters of a rejected event that are shown unless it is wanted whole."""
_INDENT = "  "
_SHOWN_UNDECIDED = 10


def show(answer: Answer[Any], screen: Screen, *, whole: bool = False) -> None:
    """Show an answer; `whole` shows each rejected event whole, and says of a history that it is all there was.

    Of a verification it says nothing of what was not looked at.
    """
    for kind, show_kind in _SHOWN.items():
        if isinstance(answer, kind):
            show_kind(answer, screen, whole)
            return
    raise TypeError(f"no table is defined for {type(answer).__name__}")


def left_out(answer: Answer[Any]) -> str:
    """What the rows leave out; nothing if they are all."""
    if isinstance(answer, Explanation) and not answer.complete:
        return _listed(len(answer), answer.count, "key")
    if isinstance(answer, Rejects) and len(answer) < answer.total:
        return _listed(len(answer), answer.total, "rejected event")
    if isinstance(answer, Conflicts) and len(answer) < answer.total:
        return _listed(len(answer), answer.total, "conflict")
    if isinstance(answer, Totals) and answer.more:
        return f"there are more children; --after {answer.rows[-1].label!r} shows those that follow"
    return ""


def _listed(listed: int, total: int, noun: str) -> str:
    return f"{listed:,} of {formatting.many(total, noun)} are listed; --limit all lists every one"


def as_of(moment: AsOfCommit | AsOfTime) -> str:
    """The last line of most answers."""
    if isinstance(moment, AsOfCommit):
        return f"as of {formatting.commit(moment.commit)}"
    return f"stack {moment.stack} at {moment.time_text}"


def pending_text(pending: Pending) -> str:
    """How many deltas are in the outbox, and for how long."""
    if not pending.deltas or pending.oldest is None:
        return "nothing is pending"
    count = formatting.many(pending.deltas, "delta")
    found = f"{count} pending" if pending.complete else f"more than {count} pending"
    return f"{found}, the oldest {formatting.span(pending.oldest)} old"


# totals


def _totals(totals: Totals, screen: Screen, _: bool) -> None:  # noqa: FBT001
    grid = Grid([totals.rollup, "count", *totals.scales], frozenset(["count", *totals.scales]))
    for row in totals:
        name = formatting.node(row.path) if row is totals.node else formatting.label(row.label)
        indent = _INDENT * (row.depth - totals.node.depth)
        grid.add(indent + name, formatting.number(row.count), *map(formatting.amount, row.sums.values()))
    screen.grid(grid)
    screen.line()
    if not totals.node.count:
        screen.line("No keys count here.")
    if rest := left_out(totals):
        screen.line(f"{rest[0].upper()}{rest[1:]}.")
    screen.line(_totals_footer(totals.as_of), "dim")


def _totals_footer(moment: AsOfCommit | AsOfTime) -> str:
    footer = as_of(moment)
    if isinstance(moment, AsOfTime):
        return footer if moment.pending is None else f"{footer}; {_outbox(moment.pending)}"
    newest, time = moment.newest_event, moment.commit.time
    if newest is None or time is None:
        return footer
    relation = "before" if newest <= time else "after"
    return f"{footer}; newest event {moment.newest_event_text}, {formatting.span(time - newest)} {relation} it"


def _outbox(pending: Pending) -> str:
    text = pending_text(pending)
    if not pending.deltas:
        return text
    return f"{text}, added" if pending.added else f"{text}, not in these totals yet"


# keys


def _explanation(found: Explanation, screen: Screen, _: bool) -> None:  # noqa: FBT001
    screen.line(f"{formatting.node(found.path)} of {found.rollup}: {_keys(found)}", "bold")
    for measure, total in found.sums.items():
        screen.line(f"  {measure} {formatting.amount(total)}")
    screen.line()
    if found.rows:
        _show_keys(found, screen)
        screen.line()
    of_store = isinstance(found.as_of, AsOfCommit)
    if not found.complete:
        screen.line(f"{left_out(found)}.")
    if (found.complete and found.measure is None) or not found.adds_up or not of_store:
        screen.line(_verdict(found))
    screen.line(as_of(found.as_of), "dim")


def _keys(found: Explanation) -> str:
    """How many keys, and of which measure."""
    keys = formatting.many(found.count, "key")
    if found.measure is None:
        return keys
    makes = "makes" if found.count == 1 else "make"
    of_value = "" if found.value is None else f" with the value {formatting.printable(found.value)}"
    return f"{keys} of {found.total.count:,} {makes} {found.measure}{of_value}"


def _show_keys(found: Explanation, screen: Screen) -> None:
    version_type, scales = found.shape.version_type, found.shape.scales
    before = ["key", "version", "leaf"] if version_type else ["key", "leaf"]
    numbers = ["version"] if version_type == "integer" else []
    grid = Grid([*before, *scales], frozenset([*numbers, *scales]))
    for row in found:
        version = [row.version_text] if version_type else []
        values = map(formatting.amount, row.values.values())
        grid.add(formatting.printable(row.key), *version, formatting.node(row.leaf), *values)
    screen.grid(grid)


def _verdict(found: Explanation) -> str:
    deltas = _deltas(found.as_of)
    total = f"the total with {formatting.many(deltas, 'pending delta')}" if deltas else "the total"
    if found.adds_up:
        if not found.count:
            return "No keys count here."
        if found.count == 1:
            return f"The one key that counts here is {total} exactly."
        listed = isinstance(found.as_of, AsOfCommit)
        all_keys = "All keys are listed; their values" if listed else "The keys"
        do = "add up to" if set(found.shape.kinds.values()) <= {"sum", "count"} else "give"
        return f"{all_keys} {do} {total} exactly."
    if isinstance(found.as_of, AsOfCommit):
        return "The values listed do NOT add up to the stored total; run: oncefold verify"
    amounts = ", ".join(f"{measure} {formatting.amount(value)}" for measure, value in found.total.sums.items())
    stated = f"{formatting.many(found.total.count, 'key')}{', ' if amounts else ''}{amounts}"
    if found.moved:
        return f"The node changed while its keys were read: {total} was then {stated}. Query again."
    return f"The keys do NOT add up to {total}, which is {stated}; run: oncefold verify"


def _deltas(moment: AsOfCommit | AsOfTime) -> int:
    pending = moment.pending if isinstance(moment, AsOfTime) else None
    return 0 if pending is None else pending.deltas


def _history(found: History, screen: Screen, whole: bool) -> None:  # noqa: FBT001
    screen.line(f"{formatting.printable(found.key)} {_current(found)}", "bold")
    screen.line()
    if found.rows:
        _show_arrivals(found, screen)
        screen.line()
    if found.forgotten_to is not None:
        screen.line(
            f"What arrived up to {formatting.commit(found.forgotten_to)}, is not shown: it is beyond the retention, or "
            "was read under an earlier definition."
        )
    elif whole:
        screen.line("This is all that ever arrived.")
    screen.line(as_of(found.as_of), "dim")


def _current(found: History) -> str:
    version = f" at version {found.current.version_text}" if found.current.version_text else ""
    if found.current.leaf is None:
        return f"is deleted{version}"
    return f"counts{version} in {formatting.node(found.current.leaf)}"


def _show_arrivals(found: History, screen: Screen) -> None:
    version_type, scales = found.shape.version_type, found.shape.scales
    before = ["commit", "time", "outcome", *(["version"] if version_type else []), "leaf"]
    numbers = ["commit", "version"] if version_type == "integer" else ["commit"]
    grid = Grid([*before, *scales], frozenset([*numbers, *scales]))
    for row in found:
        version = [row.version_text] if version_type else []
        values = [formatting.amount(row.values[measure]) if row.values else "" for measure in scales]
        commit, time = formatting.number(row.commit.number), row.commit.time_text or ""
        grid.add(commit, time, row.outcome.replace("_", " "), *version, _leaf(row), *values)
    screen.grid(grid)


def _leaf(row: Arrival) -> str:
    if row.leaf is not None:
        return formatting.node(row.leaf)
    return "(delete)" if row.known else "(forgotten)"


# lists


def _rejects(found: Rejects, screen: Screen, whole: bool) -> None:  # noqa: FBT001
    of_store = isinstance(found.as_of, AsOfCommit)
    if of_store:
        grid = Grid(["id", "source", "position", "reason", "event"], frozenset(["id", "position"]))
    else:
        grid = Grid(["arrived", "shard", "sequence number", "line", "reason", "event"], frozenset(["line"]))
    for row in found:
        source, reason = formatting.printable(row.source), formatting.printable(row.reason)
        event = _event(row, whole=whole)
        if of_store:
            grid.add(str(row.id), source, f"{row.unit} {formatting.number(row.position)}", reason, event)
        else:
            sequence = formatting.printable(row.sequence or "")
            grid.add(row.time_text or "", source, sequence, formatting.number(row.position), reason, event)
    _list(grid, found, found.total, "rejected event", screen)


def _event(row: RejectedEvent, *, whole: bool) -> str:
    if not whole:
        return formatting.piece(row.raw, PIECE_CHARS)
    text = formatting.printable(row.raw.decode("utf-8", "backslashreplace"))
    if not row.cut:
        return text
    return f"{text}… ({'' if row.size is None else f'{row.size:,} bytes in all; '}the rest was not kept)"


def _conflicts(found: Conflicts, screen: Screen, _: bool) -> None:  # noqa: FBT001
    of_store = isinstance(found.as_of, AsOfCommit)
    numbers = ["commit", "version"] if found.shape.version_type == "integer" else ["commit"]
    grid = Grid([*(["commit"] if of_store else []), "key", "version", "counts", "does not"], frozenset(numbers))
    for row in found:
        commit = [formatting.number(row.commit.number) if row.commit else ""] if of_store else []
        grid.add(*commit, formatting.printable(row.key), row.version_text, _side(row.kept), _side(row.dropped))
    _list(grid, found, found.total, "conflict", screen)


def _side(side: Side) -> str:
    if side.leaf is None:
        return "delete"
    return " ".join([formatting.node(side.leaf), *(_amount(name, value) for name, value in side.values.items())])


def _amount(measure: str, value: KeyValue) -> str:
    return f"{measure}={formatting.amount(value)}"


def _list(grid: Grid, found: Rejects | Conflicts, total: int, noun: str, screen: Screen) -> None:
    if found.rows:
        screen.grid(grid)
        screen.line()
    screen.line(f"{left_out(found) or formatting.many(total, noun)}.")
    screen.line(as_of(found.as_of), "dim")


# verify

NOT_EXAMINED: Final = (
    "not looked at: checksums of the file, changelog, snapshots, past totals, counters; verify --deep examines them"
)


def _verification(found: Verification, screen: Screen, whole: bool) -> None:  # noqa: FBT001
    compared = f"compared {formatting.many(found.nodes, 'node')} with {formatting.many(found.keys, 'key')}"
    if isinstance(found.as_of, AsOfCommit):
        screen.line(f"{compared} at {formatting.commit(found.as_of.commit)}")
    else:
        deltas = _deltas(found.as_of)
        pending = f", {formatting.many(deltas, 'pending delta')} accounted for" if deltas else ""
        screen.line(f"{compared}{pending}; {as_of(found.as_of)}")
    if found.tries > 1:
        screen.line(f"the pipeline moved meanwhile: all was read {found.tries} times", "dim")
    if found.exact:
        screen.line("exact", "green")
        if isinstance(found.as_of, AsOfCommit) and not whole:
            screen.line(NOT_EXAMINED, "dim")
        return
    if found.rows:
        _show_wrong(found.rows[0], found, screen)
    if len(found) > 1:
        screen.line(f"and {formatting.many(len(found) - 1, 'more wrong node')}; --format json lists all")
    if found.undecided:
        _show_undecided(found, screen)


def _show_wrong(wrong: WrongNode, found: Verification, screen: Screen) -> None:
    screen.line(f"WRONG: {formatting.node(wrong.path)} of {wrong.rollup}", "bold red")
    if wrong.fault:
        screen.line(f"the stored total is no number: {formatting.printable(wrong.fault)}")
    elif wrong.stored is None:
        where = "store" if isinstance(found.as_of, AsOfCommit) else "table"
        screen.line(f"the {where} has no totals of this node")
    amounts = {"stored": wrong.stored, "pending": wrong.pending, "recomputed": wrong.recomputed}
    shown = {name: found_ for name, found_ in amounts.items() if name != "pending" or found_ is not None}
    scales = found.shape.scales
    grid = Grid(["", *shown], frozenset(shown))
    columns = [_cells(item, len(scales)) for item in shown.values()]
    for name, *row in zip(["count", *scales], *columns, strict=True):
        grid.add(name, *row)
    screen.grid(grid)


def _cells(amounts: Amounts | None, measures: int) -> list[str]:
    """Count and sums for a column; empty where there are none."""
    if amounts is None:
        return [""] * (1 + measures)
    return [formatting.number(amounts.count), *map(formatting.amount, amounts.sums.values())]


def _show_undecided(found: Verification, screen: Screen) -> None:
    known = "none of the others is wrong" if not found.rows else "besides"
    nodes = formatting.many(len(found.undecided), "node")
    screen.line(f"UNDECIDED: {nodes} moved in every reading; {known}", "bold yellow")
    for name in found.undecided[:_SHOWN_UNDECIDED]:
        screen.line(f"  {formatting.printable(name)}")
    if len(found.undecided) > _SHOWN_UNDECIDED:
        screen.line("  ...; --format json lists all")
    screen.line("stop sending for as long as a reading takes, or give more --tries")


_SHOWN: Mapping[type[Answer[Any]], Callable[[Any, Screen, bool], None]] = {
    Totals: _totals,
    Explanation: _explanation,
    History: _history,
    Rejects: _rejects,
    Conflicts: _conflicts,
    Verification: _verification,
}
