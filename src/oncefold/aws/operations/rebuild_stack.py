"""A rebuild of a deployed stack, driven from this machine: see `rebuild`."""

import random
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from oncefold.aws.connect import aws_errors_explained, client, plain_message
from oncefold.aws.functions.epochs import EPOCH_SECONDS
from oncefold.aws.functions.fits import check_fits
from oncefold.aws.functions.guard import ECONOMY
from oncefold.aws.operations.rebuild import LONGEST_TIMEOUT_SECONDS, MARGIN_SECONDS, Machine, Rebuild, Rebuilt
from oncefold.aws.operations.rebuild_item import UnderWay
from oncefold.aws.tables import Stack, read_definition
from oncefold.core.definition import Pipeline
from oncefold.core.errors import DefinitionError
from oncefold.core.view import view_of
from oncefold.queries.protocol import Progress


def check_definition(stack: Stack, definition: Pipeline) -> None:
    """Raises DefinitionError if a rebuild cannot make the totals of a definition, with every reason."""
    check_fits(definition)
    try:
        view_of(stack.kept, definition)
    except DefinitionError as error:
        raise DefinitionError(
            f"stack {stack.names.stack}: {error}. Deploy it as a stack of its own with --stack NAME, and send the "
            "events there"
        ) from None


SEGMENTS = 8
"""Parts of a table that are worked on at once, by default."""
MOST_SEGMENTS = 64
_UNIT_BYTES = 1_024


@dataclass(frozen=True, slots=True)
class RebuildOutlook:
    """What a rebuild would do, and what is under way."""

    under_way: UnderWay | None
    keys: int
    """As DynamoDB counted within the last six hours."""
    write_units: int
    """About so many for the marks."""
    grace_seconds: float
    """What is waited for functions that are under way."""
    timeout_unknown: str
    """Why the timeout of StateLambda is not known; empty if it is."""


@dataclass(frozen=True)
class StackRebuild:
    """Rebuilds of a deployed stack, driven from this machine."""

    stack: Stack
    functions: Any
    """A client of Lambda."""
    definition: Pipeline | None = None
    """What the new totals are to be under; None for the definition that the stack has."""

    @classmethod
    def of(cls, stack: Stack, definition: Pipeline | None = None) -> "StackRebuild":
        """With the standard client. Raises DefinitionError if the states of keys do not suffice for the definition."""
        if definition is not None:
            check_definition(stack, definition)
        return cls(stack, client("lambda"), definition)

    def _timeout(self) -> tuple[float, str]:
        """The timeout of StateLambda, or the longer one of NetLambda, and why it is not known."""
        names = self.stack.names
        writers = (names.state_function, *([names.net_function] if self.stack.mode == ECONOMY else []))
        try:
            found = [self.functions.get_function_configuration(FunctionName=name) for name in writers]
        except ClientError as error:
            return LONGEST_TIMEOUT_SECONDS, plain_message(error)
        return max(float(one["Timeout"]) for one in found), ""

    def outlook(self) -> RebuildOutlook:
        """What it would do. Raises OncefoldError."""
        stack = self.stack
        with aws_errors_explained(stack.names.stack):
            timeout, unknown = self._timeout()
            definition = read_definition(stack.names, stack.dynamodb)
            described = stack.dynamodb.describe_table(TableName=stack.names.state_table)["Table"]
        keys, size = described.get("ItemCount", 0), described.get("TableSizeBytes", 0)
        units = 2 * keys * max(1, -(-size // max(1, keys * _UNIT_BYTES)))
        grace = timeout + EPOCH_SECONDS + MARGIN_SECONDS
        return RebuildOutlook(UnderWay.of(definition), keys, units, grace, unknown)

    def run(self, progress: Progress, segments: int | None, *, anew: bool, abandon: bool) -> Rebuilt:
        """See `Rebuild.run`."""
        stack = self.stack
        count = segments or SEGMENTS
        with aws_errors_explained(stack.names.stack), ThreadPoolExecutor(MOST_SEGMENTS) as workers:
            timeout, _ = self._timeout()
            machine = Machine(time.monotonic, time.time, time.sleep, random.random, workers.map)
            work = Rebuild(
                stack.kept, stack.names, stack.dynamodb, machine, owner=str(uuid.uuid4()), timeout_seconds=timeout,
                progress=progress, definition=self.definition, streams=lambda: stack.streams,
            )  # fmt: skip
            return work.run(count, anew=anew, abandon=abandon)
