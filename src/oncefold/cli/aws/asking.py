"""What the commands share that work on a stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oncefold.aws.names import Names
    from oncefold.aws.reader import StackQuestions


def ask(names: Names) -> StackQuestions:
    """Open a stack. Raises OncefoldError if it is not there or AWS does not answer."""
    from oncefold.aws.reader import StackQuestions

    return StackQuestions.open(names)
