"""The queries of an object that has a reader of its own."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from oncefold.queries.protocol import Closing
from oncefold.queries.store_reader import StoreReader

if TYPE_CHECKING:
    from collections.abc import Callable

Arguments = ParamSpec("Arguments")
Found = TypeVar("Found")


def _of_reader(
    query: Callable[Concatenate[StoreReader, Arguments], Found],
) -> Callable[Concatenate[Queries, Arguments], Found]:
    """The same query, answered by the reader of an object."""

    @wraps(query)
    def answer(self: Queries, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Found:
        return query(self.reader, *args, **kwargs)

    return answer


class Queries(Closing):
    """Answers every query of `Reader` by its `reader`; see there for the arguments and errors."""

    @property
    def reader(self) -> StoreReader:
        """What answers."""
        raise NotImplementedError

    query = _of_reader(StoreReader.query)
    series = _of_reader(StoreReader.series)
    search = _of_reader(StoreReader.search)
    explain = _of_reader(StoreReader.explain)
    history = _of_reader(StoreReader.history)
    rejects = _of_reader(StoreReader.rejects)
    conflicts = _of_reader(StoreReader.conflicts)
    changes = _of_reader(StoreReader.changes)
    verify = _of_reader(StoreReader.verify)
    status = _of_reader(StoreReader.status)
