"""An event as the fold sees it, and the fixed order of contents."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Content:
    """An event's content: where its key counts and how much.

    `labels` holds one label per level of the pipeline, `measures` one mantissa per measure. A delete has
    neither: what else a deleting record carries is not read.
    """

    labels: tuple[str, ...] | None
    measures: tuple[int, ...] = ()

    @property
    def deleted(self) -> bool:
        """Whether the key counts nowhere."""
        return self.labels is None

    @property
    def rank(self) -> tuple[bool, tuple[str, ...], tuple[int, ...]]:
        """The fixed order among contents of one version: a delete above all, then labels, then measures.

        Text compares by code point, which is the order of its UTF-8 bytes (RFC 3629, section 1).
        """
        return (self.labels is None, self.labels or (), self.measures)


DELETED = Content(None)


@dataclass(frozen=True, slots=True)
class Event:
    """One decoded event. Without versions in the definition every version is 0."""

    key: str
    version: int
    content: Content
    time: int | None = None
    filtered: bool = False
    """Whether the definition's `where` is not true of it: its content then is `DELETED`."""
