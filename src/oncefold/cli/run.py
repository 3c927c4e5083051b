"""`oncefold run`: fold sources into a store, with progress, until they end or the user stops it."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from oncefold.cli.progress import reporter_for
from oncefold.core.errors import OncefoldError
from oncefold.pipeline_file import load_pipeline
from oncefold.store.retention import Retention

_EPILOG = """\b
Examples:
  # files, directories and globs; what was read before is not read again
  oncefold run pipeline.toml events/*.jsonl --store risk.db
\b
  # a pipe, and compressed files
  zcat events.jsonl.gz | oncefold run pipeline.toml - --store risk.db
  oncefold run pipeline.toml 2026-11/ archive.csv.zst --store risk.db
\b
  # go on as files grow and new ones come, until Ctrl-C
  oncefold run pipeline.toml events/ --follow --store risk.db
"""


@click.command(epilog=_EPILOG, short_help="Fold sources into a store, each event once.")
@click.argument("pipeline", type=click.Path(dir_okay=False))
@click.argument("sources", nargs=-1, required=True)
@click.option("--store", "-s", "store_path", envvar="ONCEFOLD_STORE", type=click.Path(dir_okay=False),
              help="The store file; made if there is none. [default: NAME.db by the pipeline's name]")  # fmt: skip
@click.option("--format", "form", help="jsonl, csv, tsv, parquet or arrow, for names that do not say it.")
@click.option("--delimiter", help="The character between the cells of CSV.")
@click.option("--follow", "-f", is_flag=True, help="Go on reading as files grow and new ones come.")
@click.option("--reread", is_flag=True,
              help="Read every file from its start; safe, because an event counts once however often it comes.")  # fmt: skip
@click.option("--retention", help="How long history and --as-of reach back: 12h, 30d, forever. [default: 30d]")
@click.option("--quiet", "-q", is_flag=True, help="Say nothing but errors.")
def run(  # noqa: PLR0913
    *,
    pipeline: str,
    sources: tuple[str, ...],
    store_path: str | None,
    form: str | None,
    delimiter: str | None,
    follow: bool,
    reread: bool,
    retention: str | None,
    quiet: bool,
) -> None:
    """Fold SOURCES into a store under the definition PIPELINE.

    SOURCES are files, directories, globs, or - for standard input: JSON Lines, CSV (both also gzip or zstd), Parquet,
    Arrow. Positions are committed with the totals: run the same command again after any interruption, and it goes on
    exactly after the last commit. Ctrl-C finishes the batch at hand and commits it.
    """
    # Imported here so that `oncefold --help` need not load the engine.
    from oncefold.columnar.plan import fields_of
    from oncefold.embedded.session import Session
    from oncefold.embedded.warmup import warm_up
    from oncefold.sources.formats import ReadOptions
    from oncefold.sources.sources import Sources
    from oncefold.sources.waiting import RealWaiting

    definition = load_pipeline(pipeline)
    path = Path(store_path or f"{definition.name}.db")
    reporter = reporter_for(sys.stderr, quiet=quiet)
    options = ReadOptions(
        format=form,
        delimiter=delimiter,
        fields=fields_of(definition),
        repeating=[level.field for level in definition.levels],
        follow=follow,
        reread=reread,
    )
    stop = threading.Event()
    with Session.open(path, definition, retention=_retention(retention)) as session:
        found = Sources(sources, options, session.positions, RealWaiting(stop))
        warm_up(reporter.say)
        with stopping(stop, reporter.say), reporter.running(found.total_bytes):
            progress = session.run(found.blocks(), reporter.update)
        again = f"oncefold run {pipeline} {' '.join(sources)} --store {path}"
        reporter.finish(progress, session, found.done_files, stopped=stop.is_set(), again=again)
    if any(finding.kind in {"truncated", "replaced", "unreadable"} for finding in progress.findings):
        raise SystemExit(1)


def _retention(text: str | None) -> Retention | None:
    """Raises OncefoldError for a text that is no length of time."""
    from oncefold.core.timestamps import duration

    if text is None:
        return None
    if text == "forever":
        return "forever"
    try:
        return duration(text)
    except ValueError as error:
        raise OncefoldError(f"--retention: {error}, or forever") from None


@contextlib.contextmanager
def stopping(stop: threading.Event, say: Callable[[str], None]) -> Iterator[None]:
    """Within this, Ctrl-C and SIGTERM ask the run to end after the batch at hand; a second Ctrl-C ends it at once.

    Ending at once is safe too: the store holds whole commits only.
    """

    def handle(number: int, _: Any) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()
        say("stopping: the batch at hand is committed first (once more ends at once; nothing is lost either way)")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
