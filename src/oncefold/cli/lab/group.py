"""The group `oncefold lab`: the proof of the guarantee, on a machine of its own."""

from __future__ import annotations

import click

from oncefold.cli.lazy import Lazy, LazyGroup, Section

SECTIONS = (
    Section(
        "Prove",
        (
            Lazy("search", "oncefold.cli.lab.search:search", "Search for faults: a simulated stack, seed by seed."),
            Lazy("disk", "oncefold.cli.lab.disk:disk", "The same for the embedded engine, on a failing disk."),
            Lazy("model", "oncefold.cli.lab.model:model", "Every state of the AWS protocol, in small scenarios."),
        ),
    ),
    Section(
        "Play",
        (
            Lazy("play", "oncefold.cli.lab.play:play", "The workshop's game: pipelines side by side, for points."),
            Lazy("course", "oncefold.cli.lab.course:course", "Handlers of your own, to begin the course with."),
            Lazy("tournament", "oncefold.cli.lab.tournament:tournament", "Games of many seeds, and their sums."),
        ),
    ),
)

_EPILOG = """\b
Examples:
  oncefold lab search --seeds 1000               # a thousand stacks, on all cores
  oncefold lab search --minutes 30               # as many as half an hour allows
  oncefold lab search --replay 17                # one of them again, step by step
  oncefold lab disk --seeds 1000                 # a thousand stores, on disks that fail
  oncefold lab model                             # a model of the protocol, and all it can do
  oncefold lab play --fast                       # the workshop's game, as fast as it goes"""


@click.group(cls=LazyGroup, sections=SECTIONS, epilog=_EPILOG, context_settings={"max_content_width": 110})
def lab() -> None:
    """The lab: everything that may go wrong at AWS, simulated on virtual time from one seed."""
