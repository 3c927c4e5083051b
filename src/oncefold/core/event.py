"""An event as the fold sees it, and the fixed order of contents."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Content:
    """An event's content: where its key counts and how much.

    `labels` holds one label per level of the pipeline, `measures` one number per number of `Pipeline.columns`, and
    `texts` the texts, None for NULL. A delete has none of them: what else a deleting record carries is not read.
    """

    labels: tuple[str, ...] | None
    measures: tuple[int, ...] = ()
    texts: tuple[str | None, ...] = ()

    @property
    def deleted(self) -> bool:
        """Whether the key counts nowhere."""
        return self.labels is None

    @property
    def rank(self) -> tuple[bool, tuple[str, ...], tuple[int, ...], tuple[str, ...]]:
        """The fixed order among contents of one version: a delete above all, then labels, then measures, then texts.

        Text compares by code point, which is the order of its UTF-8 bytes (RFC 3629, section 1).
        """
        # A text has a letter before it, so that NULL, which has none, is below the empty text.
        texts = tuple("" if text is None else f"t{text}" for text in self.texts)
        return (self.labels is None, self.labels or (), self.measures, texts)


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
    moved_from: str | None = None
    """Another key that the same change takes out: it is deleted at this version."""

    def each(self) -> tuple["Event", ...]:
        """The event alone, and before it the delete of the key that its row had, if it had another."""
        alone = replace(self, moved_from=None)
        if self.moved_from is None:
            return (alone,)
        return (Event(self.moved_from, self.version, DELETED, self.time), alone)
