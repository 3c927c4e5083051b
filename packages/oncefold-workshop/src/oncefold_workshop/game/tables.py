"""The tables of many games."""

from oncefold_workshop.game.many import Sums
from oncefold_workshop.game.rules import POINTS, Mode, Trouble

Table = tuple[list[str], list[list[str]]]
"""Headings, and rows of text."""


def players(sums: Sums) -> list[str]:
    """Who played, in their order."""
    return list(dict.fromkeys(player for _, player in sums.played))


def mode_table(sums: Sums) -> Table:
    """Points by mode."""
    names = players(sums)
    rows = []
    for mode in Mode:
        rounds = max((sums.played[mode, name] for name in names), default=0)
        if rounds:
            rows.append([mode.value, f"{rounds:,}", *(_points(sums, mode, name, rounds) for name in names)])
    total = sums.rounds
    taken = {name: sum(sums.taken[mode, name] for mode in Mode) for name in names}
    rows.append(["all", f"{total:,}", *(_of(taken[name], total) for name in names)])
    return ["mode", "rounds", *names], rows


def _points(sums: Sums, mode: Mode, name: str, rounds: int) -> str:
    return _of(sums.taken[mode, name], rounds)


def _of(taken: int, rounds: int) -> str:
    return f"{taken * POINTS:,} of {rounds * POINTS:,}"


def hurt_table(sums: Sums) -> Table:
    """Rounds that made totals wrong, or wrong in another way, by what the round had."""
    names = players(sums)
    rows = []
    for kind in ("easy", "hard", *(trouble.value for trouble in Trouble)):
        rounds = max((sums.met[kind, name] for name in names), default=0)
        if rounds:
            rows.append([kind, f"{rounds:,}", *(f"{sums.hurt[kind, name]:,}" for name in names)])
    return ["rounds that hurt", "rounds", *names], rows
