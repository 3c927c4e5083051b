"""Server-sent events as bytes: what is the same for many subscribers is made once."""

import json

from oncefold.serve.answers.changes.telling import OUTCOMES, Begin, Counts, Told

Message = tuple[bytes, ...]
"""Pieces that are sent one after the other."""

KEEP_ALIVE: Message = (b": keep-alive\n\n",)
_END = b"}\n\n"


class Messages:
    """The messages about one commit."""

    def __init__(self, told: Told, now: int) -> None:
        self.commit, self.counts = told.fresh.commit, told.counts
        self._members = told.fresh.members(now)
        self._heads: dict[tuple[int, bool], bytes] = {}

    def of(self, rows: bytes | str, since: int, counts: Counts) -> Message:
        """The message with these rows, or with the reason of a reset, for one who knows everything up to `since`."""
        event = "reset" if isinstance(rows, str) else "commit"
        head = self._heads.get((since, event == "reset"))
        if head is None:
            pairs = zip(OUTCOMES, self.counts, counts, strict=True)
            news = {outcome: now - before for outcome, now, before in pairs if now != before}
            head = _head(event, self.commit, self._members) + b',"counts":' + _json(news)
            self._heads[since, event == "reset"] = head
        if isinstance(rows, str):
            return (head, b',"reason":' + _json(rows) + _END)
        return (head, b',"rows":', rows, _END)


def first(begin: Begin, now: int) -> Message:
    """What a subscriber is told at once: nothing, if it is told next what it missed."""
    members = begin.fresh.members(now)
    if begin.reset:
        return (_head("reset", begin.fresh.commit, members), b',"reason":' + _json(begin.reset) + _END)
    if begin.since < begin.fresh.commit:
        return ()
    return (_head("hello", begin.fresh.commit, members), _END)


def _head(event: str, commit: int, members: bytes) -> bytes:
    return f"event: {event}\nid: {commit}\ndata: ".encode() + members


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
