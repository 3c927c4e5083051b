"""What a test may do to the deliveries of a mapping: no more than Lambda may do, since it promises at least once."""

from typing import Protocol


class Disturbance(Protocol):
    """Decides about deliveries; one thread asks."""

    def retry_size(self, failed: int, most: int) -> int:
        """How many records the retry of a failed batch has, from 1 to `most`; `failed` is as Lambda does it."""
        ...

    def repeat_after(self) -> int | None:
        """After how many later batches of its shard a finished one is delivered again, beside them; None: never."""
        ...


class Undisturbed:
    """Lambda on its best behaviour."""

    def retry_size(self, failed: int, most: int) -> int:  # noqa: ARG002 - see Disturbance
        """See Disturbance."""
        return failed

    def repeat_after(self) -> int | None:
        """See Disturbance."""
        return None
