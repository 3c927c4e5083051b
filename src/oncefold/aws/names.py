"""What a deployed pipeline's parts are called: everything follows from the name of its stack."""

import hashlib
import re
from dataclasses import dataclass

from oncefold.core.errors import OncefoldError

STACK_CHARS = 48
"""Characters of a stack's name; the longest name made of it stays within the 64 that a Lambda function may have."""
_PREFIX = "oncefold-"
_HASH_CHARS = 8
"""Hexadecimal digits that keep pipelines apart whose names a stack cannot have as they are."""
_STACK = re.compile(rf"[A-Za-z][A-Za-z0-9-]{{0,{STACK_CHARS - 1}}}", re.ASCII)

ZONE_FOLDER = "zoneinfo"
"""Where the functions' zip has the files of the time zones that its pipeline names."""


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one stack's parts."""

    stack: str

    def __post_init__(self) -> None:
        """Raises OncefoldError for what CloudFormation takes for no name."""
        if not _STACK.fullmatch(self.stack):
            raise OncefoldError(
                f"{self.stack!r} is no name for a stack: use a letter, then letters, digits or -, "
                f"at most {STACK_CHARS} characters"
            )

    @classmethod
    def of_pipeline(cls, name: str) -> "Names":
        """The names where none was chosen: `oncefold-` and the pipeline's name.

        A name that is too long, or has an underscore, which a stack cannot have, gets a hash: pipelines with different
        names never share a stack.
        """
        plain = f"{_PREFIX}{name}"
        if len(plain) <= STACK_CHARS and "_" not in name:
            return cls(plain)
        digest = hashlib.sha256(name.encode()).hexdigest()[:_HASH_CHARS]
        return cls(f"{plain.replace('_', '-')[: STACK_CHARS - _HASH_CHARS - 1]}-{digest}")

    @property
    def stream(self) -> str:
        """The Kinesis stream that events are sent to."""
        return f"{self.stack}-events"

    @property
    def state_table(self) -> str:
        """One item per key: its current version and content."""
        return f"{self.stack}-state"

    @property
    def reduce_table(self) -> str:
        """The outbox: one item per delta that is not in the totals yet."""
        return f"{self.stack}-reduce"

    @property
    def aggregate_table(self) -> str:
        """One item per node: its totals."""
        return f"{self.stack}-aggregate"

    @property
    def reject_table(self) -> str:
        """Records that could not be read, and conflicts."""
        return f"{self.stack}-rejects"

    @property
    def state_function(self) -> str:
        """Folds events into state and deltas."""
        return f"{self.stack}-state"

    @property
    def reduce_function(self) -> str:
        """Adds deltas to the totals."""
        return f"{self.stack}-reduce"

    @property
    def net_function(self) -> str:
        """Nets the changes of states into deltas, in economy mode."""
        return f"{self.stack}-net"

    @property
    def sweep_function(self) -> str:
        """Adds the deltas that no stream record announced."""
        return f"{self.stack}-sweep"

    @property
    def failure_queue(self) -> str:
        """Where Lambda reports batches that failed for good."""
        return f"{self.stack}-failures"
