"""What the measurements share: running a file into an open store, and the totals of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bench.definition import PIPELINE
from bench.memory import back
from oncefold.core.definition import Pipeline
from oncefold.core.fold import Outcome
from oncefold.engine.run import RunProgress
from oncefold.engine.session import Session
from oncefold.sources.inputs import ReadOptions
from oncefold.sources.sources import Sources

_CHUNK: Final = 2**22
_MOST_BACKED: Final = 2**30
_BACKED_TIMES: Final = 32


def sources(file: str, positions: Mapping[str, str] | None = None, pipeline: Pipeline = PIPELINE) -> Sources:
    """A file as `oncefold run` reads it."""
    return Sources((file,), ReadOptions(fields=pipeline.fields), positions)


def run(session: Session, file: str) -> RunProgress:
    """Fold and commit a whole file. Raises ValueError if an event of it could not be read."""
    progress = session.run(sources(file, session.positions).blocks())
    rejected = progress.counts[Outcome.REJECTED]
    if rejected:
        raise ValueError(f"{rejected:,} events of the input could not be read")
    return progress


def make_ready(file: str) -> None:
    """Let the measurement find the file in memory, and memory for the engine in the machine."""
    read_through(file)
    back(min(_MOST_BACKED, _BACKED_TIMES * Path(file).stat().st_size))


def read_through(file: str) -> None:
    """Read a file once, so that the measurement finds it in memory and not on the disk."""
    with Path(file).open("rb", buffering=0) as stream:
        while stream.read(_CHUNK):
            pass
