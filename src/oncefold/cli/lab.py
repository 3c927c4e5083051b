"""The group `oncefold lab`: the proof of the guarantee and the workshop's game, by distributions of their own."""

from __future__ import annotations

import click

from oncefold.cli.lazy import LazyGroup

_EPILOG = """\b
Examples:
  oncefold lab search --seeds 1000               # a thousand stacks, on all cores
  oncefold lab search --minutes 30               # as many as half an hour allows
  oncefold lab search --replay 17                # one of them again, step by step
  oncefold lab disk --seeds 1000                 # a thousand stores, on disks that fail
  oncefold lab model                             # a model of the protocol, and all it can do
  oncefold lab play --fast                       # the workshop's game, as fast as it goes
\b
The commands come with the distributions oncefold-lab (search, disk, model) and oncefold-workshop (play, course,
tournament)."""

_DISTRIBUTIONS = {
    "search": "oncefold-lab",
    "disk": "oncefold-lab",
    "model": "oncefold-lab",
    "play": "oncefold-workshop",
    "course": "oncefold-workshop",
    "tournament": "oncefold-workshop",
}


@click.group(
    cls=LazyGroup,
    sections=(),
    plugins="lab",
    distributions=_DISTRIBUTIONS,
    epilog=_EPILOG,
    context_settings={"max_content_width": 110},
)
def lab() -> None:
    """The lab: everything that may go wrong at AWS, simulated on virtual time from one seed."""
