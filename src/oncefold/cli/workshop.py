"""The group `oncefold workshop`: the workshop for a class, by a distribution of its own."""

from __future__ import annotations

import click

from oncefold.cli.lazy import LazyGroup

_EPILOG = """\b
Examples:
  oncefold workshop run --port 4566              # the workshop's stack on this machine
  oncefold workshop scoreboard red=http://127.0.0.1:4566 blue=aws:blue
\b
The commands come with the distribution oncefold-workshop. The game and the course are in `oncefold lab`."""

_DISTRIBUTIONS = {"run": "oncefold-workshop", "scoreboard": "oncefold-workshop"}


@click.group(
    cls=LazyGroup,
    sections=(),
    plugins="workshop",
    distributions=_DISTRIBUTIONS,
    epilog=_EPILOG,
    context_settings={"max_content_width": 110},
)
def workshop() -> None:
    """The AWS workshop that Oncefold grew out of: its stack on one machine, a scoreboard of several teams."""
