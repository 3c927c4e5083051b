"""Keys of a stack as values."""

from oncefold.queries.arguments import checked, limited
from oncefold.queries.events import CountedKey
from oncefold.queries.values import Reading, path_of
from oncefold.store import answers as stored

__all__ = ["checked", "counted_key", "limited"]


def counted_key(reading: Reading, rollup: int, state: stored.KeyState) -> CountedKey:
    """A key behind a total."""
    labels = state.labels or ()
    return CountedKey(
        key=state.key,
        version=reading.version(state.version),
        version_text=reading.version_text(state.version),
        labels=labels,
        leaf=path_of(tuple(labels[level] for level in reading.pipeline.rollup_levels[rollup])),
        values=reading.amounts(state.measures),
    )
