"""The few errors a caller can act on; every message says what, where and what to do."""

from collections.abc import Iterable


class OncefoldError(Exception):
    """Base of all errors meant for a person; the command line prints them without a stack trace."""


class DefinitionError(OncefoldError):
    """A pipeline definition is wrong, or does not fit the store; correct the definition."""


class InvalidEvent(OncefoldError):  # noqa: N818 - it is a verdict on data, the stream goes on
    """One event cannot be read; it goes to the reject list with this message as its reason."""


class IgnoredRecord(InvalidEvent):
    """A record that says nothing of any key, as its envelope means it; it is counted, and not rejected."""


class SourceError(OncefoldError):
    """A source cannot be read, or is not what was read before; nothing of it was folded."""


class StoreError(OncefoldError):
    """The store cannot be opened, written or trusted; the last commit is intact."""


class StoreLockedError(StoreError):
    """Another process writes this store; readers need not care."""


class StoreMissingError(StoreError):
    """The file of a store that is open was removed or replaced: nothing can be committed to it any more."""


class QueryError(OncefoldError):
    """A query names a node, key, rollup or commit that does not exist."""


class InvalidQueryError(QueryError):
    """A query cannot be read, whatever the store holds; write it in another form."""


def similar_names(name: str, known: Iterable[str], most: int = 1, *, likeness: float = 0.6) -> list[str]:
    """So many of the known names as read most alike, the best first, for "did you mean".

    None is there that is less alike than `likeness`, from 0 to 1.
    """
    import difflib  # noqa: PLC0415 - few runs have a mistyped name

    return difflib.get_close_matches(name, known, most, likeness)
