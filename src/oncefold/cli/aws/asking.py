"""What the commands share that ask a stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oncefold.cli import words
from oncefold.cli.rejects import left_out

if TYPE_CHECKING:
    from oncefold.aws.names import Names
    from oncefold.aws.reader import StackQuestions
    from oncefold.aws.reader.answers import Outbox, StackConflicts, StackRejects
    from oncefold.cli.screen import Grid, Screen

STACK_STATUS_WORDS = "Exit status: 0 answered, 2 the question is wrong, or AWS cannot or may not answer it."


def ask(names: Names) -> StackQuestions:
    """The questions to a stack. Raises OncefoldError if it is not there or AWS does not answer."""
    from oncefold.aws.reader import StackQuestions

    return StackQuestions.open(names)


def outbox_words(outbox: Outbox) -> str:
    """How many deltas wait, and since when."""
    if not outbox.deltas or outbox.oldest is None:
        return "nothing is pending"
    count = words.many(outbox.deltas, "delta")
    pending = f"{count} pending" if outbox.complete else f"more than {count} pending"
    return f"{pending}, the oldest {words.span(outbox.oldest)} old"


def show_list(grid: Grid, found: StackRejects | StackConflicts, noun: str, screen: Screen) -> None:
    """Show the rows of a list, how many there are in all, and when it was read."""
    if found.rows:
        screen.grid(grid)
        screen.line()
    screen.line(f"{left_out(found, noun) or words.many(found.total, noun)}.")
    screen.line(f"stack {found.read.stack} at {found.read.time_text}", "dim")
