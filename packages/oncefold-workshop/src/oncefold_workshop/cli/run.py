"""`oncefold workshop run`: the workshop's own stack on this machine, with its generator."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from oncefold.core.errors import OncefoldError

if TYPE_CHECKING:
    from collections.abc import Callable

_INTERRUPTED = 130
_MINUTE = 60.0

_EPILOG = """\b
Examples:
  # the functions of a checkout of the workshop; in another terminal: oncefold workshop scoreboard us=http://127.0.0.1:4566
  oncefold workshop run --functions amazon-dynamodb-labs/event-driven --port 4566
\b
  # this distribution's own, after the workshop's fixes, three rounds of 400 messages
  oncefold workshop run --functions after --rounds 3 --batches 10

Tables, stream and parameters have the workshop's names, so whoever has the variables that are printed can look at them
with any client. A round is 250 batches of 40 messages, and is scored 30 seconds after the last of them.

\b
Exit status: 0 all rounds were played, 2 it cannot be run, 130 ended by Ctrl-C."""


@click.command(epilog=_EPILOG)
@click.option(
    "--functions", metavar="STATE,MAP,REDUCE", default="before", show_default=True,
    help="Three folders or zips, one folder that holds them, or before or after.",
)  # fmt: skip
@click.option("--rounds", type=click.IntRange(1), help="How many rounds.  [default: until Ctrl-C]")
@click.option("--batches", type=click.IntRange(1, 250), default=250, show_default=True, help="Of 40 messages, a round.")
@click.option("--port", type=click.IntRange(1, 65_535), help="Port of the emulator.  [default: a free one]")
def run(*, functions: str, rounds: int | None, batches: int, port: int | None) -> None:
    """Run the workshop's stack on this machine, a round a minute."""
    from oncefold_lab.local.emulator import Emulator
    from oncefold_workshop.classroom.local_stack import own_code, packed_code, running_stack
    from oncefold_workshop.course.functions import parse

    if functions in {"before", "after"}:
        code = own_code(functions)
    else:
        found = parse(functions, Path.cwd())
        if not found.packaged:
            raise OncefoldError(f"--functions {functions}: name three folders or zips with a lambda_function.py each")
        code = packed_code(found)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with Emulator(port) as emulator, running_stack(emulator, code, batches) as generator:
            for name, value in emulator.environment.items():
                click.echo(f"export {name}={value}")
            _play(generator.round, rounds)
    except KeyboardInterrupt:
        click.get_current_context().exit(_INTERRUPTED)


def _play(play_round: Callable[[], int], rounds: int | None) -> None:
    total = number = 0
    while rounds is None or number < rounds:
        began = time.monotonic()
        points = play_round()
        number, total = number + 1, total + points
        click.echo(f"round {number}: {points:>3} points, {total:,} in all")
        if number != rounds:
            time.sleep(max(0.0, began + _MINUTE - time.monotonic()))
