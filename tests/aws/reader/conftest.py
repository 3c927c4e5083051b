"""The questions to a stack, with a clock that stands still."""

from collections.abc import Callable

import pytest

from oncefold.aws.names import Names
from oncefold.aws.reader import StackQuestions
from oncefold.cli.main import main
from tests.aws.reader.stacks import NOW, Filled, fill
from tests.queries.stores import MONDAY, SHOP, TUESDAY, events, lines

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def shop_stack(stack: Names) -> Filled:
    """The shop of the guides after Monday and Tuesday."""
    return fill(stack, SHOP, events(SHOP, lines(MONDAY), lines(TUESDAY)))


@pytest.fixture
def ask(stack: Names) -> Callable[..., StackQuestions]:
    """Open the stack, perhaps with another client."""

    def opened(dynamodb: object = None) -> StackQuestions:
        return StackQuestions(StackQuestions.open(stack, dynamodb).stack, clock=lambda: NOW)

    return opened


@pytest.fixture
def run(stack: Names, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `oncefold aws ...` on the stack: its exit status, output and errors."""

    def call(*arguments: object) -> tuple[int, str, str]:
        status = main(["aws", str(arguments[0]), *map(str, arguments[1:]), "--stack", stack.stack])
        shown = capsys.readouterr()
        return status, shown.out, shown.err

    return call
