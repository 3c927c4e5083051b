"""Results of rounds as text and as JSON: the same game gives the same bytes on every machine."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from oncefold_workshop.game.arena import InvocationCounts
from oncefold_workshop.game.audit import Account, Cause
from oncefold_workshop.game.expected import Wrong
from oncefold_workshop.game.match import RoundResult, Scored
from oncefold_workshop.game.players import PlayerEntry
from oncefold_workshop.game.rules import Round, Trouble
from oncefold_workshop.game.stage import PlayedRound

_CAUSES = 3
"""Causes of a lost round that are shown."""
_SPANS = ((3_600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))


def round_begins(played: Round) -> str:
    """That a round begins."""
    return f"round {played.number}, {played.text}: {played.messages:,} messages"


def skipped_rounds(seconds: float) -> str:
    """That time passes."""
    size, unit = next((size, unit) for size, unit in _SPANS if seconds >= size)
    return f"{seconds / size:,.0f} {unit} pass"


def round_result(result: RoundResult) -> Iterator[str]:
    """What became of a round, player by player."""
    width = max(len(scored.name) for scored in result.scored)
    for scored in result.scored:
        how = _how(result.round, scored)
        yield f"  {scored.name:<{width}} {scored.points:>3} points, {scored.total:>5,} in all: {how}"
        yield from (f"      {line}" for line in reasons(scored.played))


def _how(played: Round, scored: Scored) -> str:
    one = scored.played
    if scored.points and one.right_after is not None:
        since = "the outage's end" if played.trouble is Trouble.TRIM else "the last message"
        return f"every node right {one.right_after:.1f} s after {since}"
    if one.wrong is None:
        seconds = "" if one.right_after is None else f", {one.right_after:.1f} s after the last message"
        return f"right too late{seconds}"
    before = "" if one.right_after is None else f"was right after {one.right_after:.1f} s, but then "
    return before + wrong_node(one.wrong)


def wrong_node(found: Wrong) -> str:
    """What is wrong with a node."""
    more = "more" if found.by > 0 else "less"
    return f"{found.path} has grown by {found.found:,f}, {abs(found.by):,f} {more} than {found.expected:,f}"


def reasons(one: PlayedRound) -> Iterator[str]:
    """Why, the greatest causes first, with some of the events; and hints."""
    yield from (f"hint: {hint}" for hint in one.hints)
    if one.account is None:
        return
    causes = sorted(one.account.causes, key=lambda cause: -abs(cause.amount))
    shown = causes[:_CAUSES]
    for cause in shown:
        events = ", ".join(f"{blamed.key} {blamed.amount:+,f}" for blamed in cause.sample[:2])
        yield f"{cause.text}; such as {events}"
    yield _sum(one.account, len(causes) - len(shown))
    yield from (f"hint: {hint}" for hint in one.account.hints)


def _sum(account: Account, more: int) -> str:
    if not account.causes:
        return "the tables do not show which events these are"
    others = f"and {more} more {'cause' if more == 1 else 'causes'}; " if more else ""
    exact = "together they are the difference"
    if account.left:
        exact += f", but for {account.left:+.10f} of float sums" if abs(account.left) < 1 else (
            f" but for {account.left:+,f}, which nothing explains"
        )  # fmt: skip
    return others + exact


def scoreboard(entries: Sequence[PlayerEntry], points: Mapping[str, int], rounds: int) -> Iterator[str]:
    """Who has how many points."""
    played = "1 round" if rounds == 1 else f"{rounds:,} rounds"
    yield f"after {played}:"
    for entry in sorted(entries, key=lambda entry: -points[entry.name]):
        yield f"  {points[entry.name]:>6,} points  {entry.name}: {entry.title}"


class ErrorRates:
    """How many invocations of each player's functions failed, on purpose or by themselves, in all rounds."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[str, InvocationCounts]] = {}

    def add(self, result: RoundResult) -> None:
        """Take in one more round."""
        for scored in result.scored:
            functions = self._counts.setdefault(scored.name, {})
            for name, counts in scored.played.invocations.items():
                there = functions.setdefault(name, InvocationCounts())
                there.all += counts.all
                there.failed += counts.failed

    def lines(self, player: str) -> Iterator[str]:
        """The error rates of a player, one function a line; nothing for one that did not play."""
        for name, counts in self._counts.get(player, {}).items():
            yield f"  {name}: {counts.failed:,} of {counts.all:,} invocations failed ({counts.failed / counts.all:.1%})"


def round_document(result: RoundResult) -> dict[str, Any]:
    """One round."""
    played = result.round
    return {
        "round": played.number,
        "mode": played.mode.value,
        "trouble": None if played.trouble is None else played.trouble.value,
        "cut": None if played.cut is None else played.cut.value,
        "messages": played.messages,
        "began": round(played.start, 3),
        "players": [_player(scored) for scored in result.scored],
    }


def _player(scored: Scored) -> dict[str, Any]:
    played = scored.played
    return {
        "name": scored.name,
        "points": scored.points,
        "total": scored.total,
        "right_after_seconds": None if played.right_after is None else round(played.right_after, 3),
        "totals": played.totals,
        "failures": {
            name: {"invocations": counts.all, "failed": counts.failed} for name, counts in played.invocations.items()
        },
        "wrong": None if played.wrong is None else _wrong(played.wrong),
        "account": None if played.account is None else _account(played.account),
        **({"hints": list(played.hints)} if played.hints else {}),
    }


def _wrong(wrong: Wrong) -> dict[str, Any]:
    amounts = {"expected": wrong.expected, "found": wrong.found, "by": wrong.by}
    return {"node": wrong.path, "column": wrong.column, **{name: _text(value) for name, value in amounts.items()}}


def _account(account: Account) -> dict[str, Any]:
    document = {"causes": [_cause(cause) for cause in account.causes], "unexplained": _text(account.left)}
    return {**document, "hints": list(account.hints)} if account.hints else document


def _cause(cause: Cause) -> dict[str, Any]:
    return {
        "round": cause.round,
        "what": cause.what.value,
        "why": cause.why,
        "events": cause.events,
        "amount": _text(cause.amount),
        "sample": [{"key": one.key, "amount": _text(one.amount)} for one in cause.sample],
    }


def _text(number: Decimal) -> str:
    """Every digit, without an exponent."""
    return f"{number:f}"


class GameRecord:
    """The lines of a game and their digest."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def line(self, document: dict[str, Any]) -> str:
        """A document as a line, which is in the digest from now on."""
        text = json.dumps(document)
        self._hash.update(text.encode() + b"\n")
        return text

    @property
    def digest(self) -> str:
        """Of all lines so far: another machine that plays the same has the same."""
        return self._hash.hexdigest()
