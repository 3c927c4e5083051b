"""Everything that can be asked of a stack."""

import time
from collections.abc import Callable
from typing import Any, Self

from oncefold.aws.connect import aws_errors_explained, client
from oncefold.aws.names import Names
from oncefold.aws.reader import explain, lists, query, verify
from oncefold.aws.reader.answers import (
    Reading,
    StackConflicts,
    StackExplanation,
    StackRejects,
    StackTree,
    StackVerification,
)
from oncefold.aws.reader.overview import StackOverview
from oncefold.aws.reader.status import SERVICES, StatusClients, StatusReader
from oncefold.aws.reader.tables import Progress, Stack, no_progress, open_stack
from oncefold.aws.reader.tree import Branch
from oncefold.core.errors import QuestionError
from oncefold.core.fold import Node
from oncefold.core.timestamps import format_timestamp
from oncefold.queries import making
from oncefold.queries.arguments import Node as Named
from oncefold.queries.arguments import labels_of_node
from oncefold.queries.values import to_datetime
from oncefold.store.nodes import rollup_index


class StackQuestions:
    """The questions to one stack; they are those to a store (`oncefold.queries.Questions`), with the same rows.

    All reads are consistent: an answer has everything that was applied before its time, and may have some of what
    came later. Questions raise QuestionError if they name what does not exist, and OncefoldError if AWS cannot or
    may not answer.

        ask = StackQuestions.open("oncefold-risk")
        for row in ask.query("Delta", depth=2):
            print(row.path, row.count, row.sums["value"])
    """

    def __init__(self, stack: Stack, clock: Callable[[], int] = time.time_ns) -> None:
        """Ask this stack; the clock is in nanoseconds since 1970."""
        self.stack = stack
        self.pipeline = stack.pipeline
        self._clock = clock

    @classmethod
    def open(cls, stack: str | Names, dynamodb: Any = None) -> Self:
        """Open a stack, with a boto3 client or the standard one. Raises OncefoldError if it is not there."""
        names = stack if isinstance(stack, Names) else Names(stack)
        with aws_errors_explained(names.stack):
            return cls(open_stack(names, client("dynamodb") if dynamodb is None else dynamodb))

    def query(
        self, node: Named = "", *, rollup: str | None = None, depth: int | None = 1, exact: bool = False
    ) -> StackTree:
        """The totals of a node and of all at most `depth` levels below it (None: all of them).

        Nodes below it without live keys are left out. `exact` adds what waits in the outbox.
        """
        branch = Branch(self.stack, self._node(node, rollup), making.checked(depth, "depth"))
        answer = query.query_exact if exact else query.query
        with aws_errors_explained(self.stack.names.stack):
            return answer(self.stack, branch, self._reading(), self._clock)

    def verify(self, *, tries: int = verify.TRIES, progress: Progress = no_progress) -> StackVerification:
        """Recompute every total of every rollup from the state of every key, and compare with what is stored."""
        if tries < 1:
            raise QuestionError(f"tries is {tries}; give 1 or more")
        with aws_errors_explained(self.stack.names.stack):
            return verify.verify(self.stack, self._reading(), progress, tries)

    def explain(
        self, node: Named, *, rollup: str | None = None, limit: int | None = 20, progress: Progress = no_progress
    ) -> StackExplanation:
        """The keys that count in a node, the first `limit` (None: all) by their texts."""
        with aws_errors_explained(self.stack.names.stack):
            return explain.explain(
                self.stack, self._node(node, rollup), making.limited(limit), self._reading(), progress
            )

    def rejects(self, limit: int | None = None, *, progress: Progress = no_progress) -> StackRejects:
        """Events that could not be read, in order of their arrival, at most `limit`."""
        with aws_errors_explained(self.stack.names.stack):
            return lists.rejects(self.stack, making.checked(limit, "limit"), self._reading(), progress)

    def conflicts(self, limit: int | None = None, *, progress: Progress = no_progress) -> StackConflicts:
        """Events of one key and version with different content, by key and version, at most `limit`."""
        with aws_errors_explained(self.stack.names.stack):
            return lists.conflicts(self.stack, making.checked(limit, "limit"), self._reading(), progress)

    def status(
        self, *, count: bool = False, clients: StatusClients | None = None, progress: Progress = no_progress
    ) -> StackOverview:
        """The stack as a whole. `count` counts keys and nodes now; else they are as DynamoDB last counted them."""
        with aws_errors_explained(self.stack.names.stack):
            asked = StatusClients(*map(client, SERVICES)) if clients is None else clients
            return StatusReader(self.stack, asked, self._clock).overview(self._reading(), progress, counting=count)

    def _node(self, node: Named, rollup: str | None) -> Node:
        return Node(rollup_index(self.pipeline, rollup), labels_of_node(node))

    def _reading(self) -> Reading:
        now = self._clock()
        return Reading(self.stack.names.stack, to_datetime(now), format_timestamp(now))
