"""A game in words: lines for a terminal or a log."""

from collections.abc import Iterator, Mapping, Sequence

from oncefold_workshop.game.accounts import Account
from oncefold_workshop.game.cast import Entry
from oncefold_workshop.game.match import Result, Scored
from oncefold_workshop.game.rules import Round, Trouble
from oncefold_workshop.game.stage import Played
from oncefold_workshop.game.truth import Wrong

_CAUSES = 3
"""Causes of a lost round that are told."""
_SPANS = ((3_600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))


def begun(played: Round) -> str:
    """That a round begins."""
    return f"round {played.number}, {played.words}: {played.messages:,} messages"


def skipped(seconds: float) -> str:
    """That time passes."""
    size, unit = next((size, unit) for size, unit in _SPANS if seconds >= size)
    return f"{seconds / size:,.0f} {unit} pass"


def ended(result: Result) -> Iterator[str]:
    """What became of a round, player by player."""
    width = max(len(scored.name) for scored in result.scored)
    for scored in result.scored:
        how = _how(result.round, scored)
        yield f"  {scored.name:<{width}} {scored.points:>3} points, {scored.total:>5,} in all: {how}"
        yield from (f"      {line}" for line in reasons(result.round, scored.played))


def _how(played: Round, scored: Scored) -> str:
    one = scored.played
    if one.wrong is None and one.right_after is not None:
        since = "the outage's end" if played.trouble is Trouble.TRIM else "the last message"
        return f"every node right {one.right_after:.1f} s after {since}"
    if one.wrong is None:
        return "right too late"
    before = "" if one.right_after is None else f"was right after {one.right_after:.1f} s, but then "
    return before + wrong(one.wrong)


def wrong(found: Wrong) -> str:
    """What is wrong with a node."""
    more = "more" if found.by > 0 else "less"
    return f"{found.path} is {found.found:,f}, {abs(found.by):,f} {more} than {found.expected:,f}"


def reasons(played: Round, one: Played) -> Iterator[str]:
    """Why, the causes of this round first, with some of the events."""
    if one.account is None:
        return
    causes = sorted(one.account.causes, key=lambda cause: (-cause.round, -abs(cause.amount)))
    shown = [cause for cause in causes[:_CAUSES] if cause.round == played.number] or causes[:1]
    for cause in shown:
        events = ", ".join(f"{blamed.key} {blamed.amount:+,f}" for blamed in cause.sample[:2])
        yield f"{cause.words}; such as {events}"
    yield _sum(one.account, len(causes) - len(shown))
    yield from (f"hint: {hint}" for hint in one.account.hints)


def _sum(account: Account, more: int) -> str:
    if not account.causes:
        return "which events it is, the tables do not tell"
    earlier = f"{more} more causes, most of earlier rounds; " if more else ""
    exact = "together they are the difference"
    if account.left:
        exact += f", but for {account.left:+.10f} of float sums" if abs(account.left) < 1 else (
            f" but for {account.left:+,f}, which nothing explains"
        )  # fmt: skip
    return earlier + exact


def scoreboard(entries: Sequence[Entry], points: Mapping[str, int], rounds: int) -> Iterator[str]:
    """Who has how many points."""
    played = "1 round" if rounds == 1 else f"{rounds:,} rounds"
    yield f"after {played}:"
    for entry in sorted(entries, key=lambda entry: -points[entry.name]):
        yield f"  {points[entry.name]:>6,} points  {entry.name}: {entry.title}"
