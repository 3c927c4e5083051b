"""How a change of a stack shows itself: a line for each resource that is done, in the words of a person."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from oncefold.cli import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from oncefold.aws.deploy.events import Event

_STACK = "AWS::CloudFormation::Stack"
_WORDS = {
    "CREATE_COMPLETE": "created",
    "UPDATE_COMPLETE": "changed",
    "DELETE_COMPLETE": "deleted",
    "DELETE_SKIPPED": "kept",
    "IMPORT_COMPLETE": "taken up again",
}
"""Ends of an event that are told; beginnings are not."""


class StackProgress:
    """Tells events of CloudFormation on stderr, as they come."""

    def __init__(self, resources: Iterable[str]) -> None:
        """Which resources there are to do; others are told of only if they fail."""
        self._resources = frozenset(resources)
        self._done: set[str] = set()

    def __call__(self, event: Event) -> None:
        """Tell an event, if it is an end."""
        if event.type == _STACK:
            if "ROLLBACK" in event.status:
                self._say(f"the stack: {event.status}: {event.reason or 'no reason is given'}")
            return
        if event.failed:
            self._say(f"{event.resource}: FAILED: {event.reason}")
        elif event.status in _WORDS and event.resource in self._resources:
            self._done.add(event.resource)
            self._say(f"{len(self._done):>3} of {len(self._resources)}  {event.resource} {_WORDS[event.status]}")

    def _say(self, line: str) -> None:
        click.echo(f"oncefold: {words.printable(line)}", err=True)


@contextmanager
def going_on_without_us() -> Iterator[None]:
    """Whoever interrupts a change is told that CloudFormation goes on with it."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo("oncefold: CloudFormation goes on; the same command again says how the stack stands", err=True)
        sys.stderr.flush()
        raise
