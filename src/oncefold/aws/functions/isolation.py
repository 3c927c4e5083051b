"""An event that StateLambda fails on by itself is rejected; a failure that is not an event's own stalls the stream.

What AWS refuses (throttled, not allowed, a table that is not there) and memory that does not suffice are failures of
the whole: the invocation fails, Lambda delivers the batch again until they are over, and nothing is given up meanwhile.
Any other failure is looked for among the events, by halves. What fails alone while other events get through, in this
environment, is the event's own; it is on the reject list then, from where it can be redriven. Where none gets through
the failure is taken for one of the whole, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from oncefold.aws.functions.state import FoldResult, StateFunction, StreamRecord

WHOLE = (BotoCoreError, ClientError, MemoryError)
"""Failures that no event is to blame for."""


@dataclass
class Isolation:
    """What an environment knows of its own work."""

    proven: bool = False
    """Whether events got through."""

    def handle(self, function: StateFunction, records: Sequence[StreamRecord]) -> FoldResult:
        """Fold a batch; events that fail alone are rejected. Raises what fails as a whole."""
        try:
            folded = function.handle(records)
        except WHOLE:
            raise
        except Exception:
            return self._apart(function, records)
        self._learn(folded)
        return folded

    def _learn(self, folded: FoldResult) -> None:
        self.proven = self.proven or (folded.events > 0 and folded.unfinished is None)

    def _apart(self, function: StateFunction, records: Sequence[StreamRecord]) -> FoldResult:
        """Fold a batch by halves, and the lines of a record that fails alone one by one, in their order."""
        whole = FoldResult()
        alone: list[tuple[int, StreamRecord, Exception]] = []
        waiting: list[tuple[int, Sequence[StreamRecord]]] = [(0, records)]
        while waiting and whole.unfinished is None:
            first, some = waiting.pop()
            try:
                folded = function.handle(some)
            except WHOLE:
                raise
            except Exception as error:
                parts = _parts(first, some)
                if len(parts) > 1:
                    waiting += reversed(parts)
                else:
                    alone.append((first, some[0], error))
            else:
                self._learn(folded)
                whole.add(folded, first)
        whole.leave(first for first, _ in waiting)
        if alone and not self.proven:
            raise alone[0][2]
        for index, record, cause in alone:
            whole.add(function.refuse(record, f"StateLambda fails on it: {type(cause).__name__}: {cause}"), index)
        return whole


def _parts(first: int, some: Sequence[StreamRecord]) -> list[tuple[int, Sequence[StreamRecord]]]:
    """What to try one after the other in the place of some records, each with the index of its first record."""
    middle = len(some) // 2
    if middle:
        return [(first, some[:middle]), (first + middle, some[middle:])]
    return [(first, [line]) for line in some[0].lines()]
