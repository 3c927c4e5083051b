"""How far a shard of a stream was read."""

import json
from dataclasses import asdict, dataclass
from typing import Final, Literal

from oncefold.commit import SourcePosition
from oncefold.core.errors import SourceError

NOTE_SECONDS: Final = 3_600.0
"""A shard in which nothing happens is noted this often, so that a later run knows that nothing was missed."""


@dataclass(frozen=True, slots=True)
class ShardState:
    """The state of the position of a shard."""

    at: str
    """The sequence number of the last record that was handed on; empty before the first."""
    upto: float
    """Whatever arrived earlier than this was handed on; seconds since 1970."""
    behind: float
    """Seconds from there to the shard's newest record, when this was noted."""
    made: float
    """When the stream was made; a stream made anew under its name has another."""
    done: bool = False
    """The shard is closed, or gone, and nothing of it is left to read."""
    kind: Literal["kinesis"] = "kinesis"

    def position(self, source: str) -> SourcePosition:
        """As the store keeps it."""
        return SourcePosition(source, json.dumps(asdict(self), separators=(",", ":")))

    def is_worth_noting(self, noted: "ShardState | None") -> bool:
        """Whether this says more than `noted` does, as far as it matters to a later run or to whoever looks."""
        if noted is None or self.done or self.at != noted.at:
            return True
        return self.upto - noted.upto > NOTE_SECONDS or (self.behind == 0) != (noted.behind == 0)


def parse_shard_state(source: str, state: str) -> ShardState:
    """Read back what `position` wrote. Raises SourceError if another version wrote it."""
    try:
        return ShardState(**json.loads(state))
    except (ValueError, TypeError):
        raise SourceError(
            f"{source}: its position in the store cannot be read by this version of oncefold: {state[:200]}; run again "
            "with --reread to read the stream from its oldest record, which never counts an event twice"
        ) from None
