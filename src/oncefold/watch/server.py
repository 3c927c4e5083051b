"""A server as a source of looks: each is of one commit, and costs one small request while there is no new one."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import quote, urlencode

from oncefold.core.errors import OncefoldError, QueryError
from oncefold.core.nodepath import join, split
from oncefold.core.timestamps import parse_timestamp
from oncefold.queries.answers import Tree
from oncefold.queries.arguments import labels_of_node
from oncefold.queries.model import Commit, NodeTotal
from oncefold.queries.values import to_datetime
from oncefold.watch.client import Client, Reply
from oncefold.watch.levels import fitting
from oncefold.watch.looks import Look, StoreMoment, Watched

_FIRST_LEVEL = 1


@dataclass(frozen=True, slots=True)
class _Rollup:
    name: str
    levels: int


@dataclass(frozen=True, slots=True)
class _Last:
    """The last look, and how to ask whether it still holds."""

    look: Look
    room: int | None
    depth: int
    etag: str
    """Empty if the server gave none."""


class ServerSource:
    """Looks at one server, which may not answer yet, and may be started again."""

    def __init__(self, client: Client, watched: Watched) -> None:
        self._client = client
        self._watched = watched
        self._labels = labels_of_node(watched.node)
        self._rollup: _Rollup | None = None
        self._last: _Last | None = None

    def look(self, room: int | None) -> Look:
        """Look at the last commit; see `oncefold.watch.looks.Source`."""
        try:
            return self._look(room)
        except (KeyError, TypeError, ValueError, InvalidOperation) as error:
            self.close()
            raise OncefoldError(f"{self._client.url}: its answer cannot be read ({error!r})") from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the connection; the next look opens it again, perhaps to another server."""
        self._client.close()
        self._rollup = self._last = None

    def _look(self, room: int | None) -> Look:
        last = self._last if self._last is not None and self._last.room == room else None
        rollup = self._rollup = self._rollup or self._meant()
        depth = self._depth(rollup) if room is None else min(self._depth(rollup), last.depth if last else _FIRST_LEVEL)
        reply = self._totals(rollup, depth, room, last.etag if last else None)
        if reply.document is None and last is not None:
            return last.look
        if room is not None:
            depth, reply = self._deeper(rollup, depth, room, reply)
        look = self._seen(rollup, depth, room, reply)
        self._last = _Last(look, room, depth, reply.headers.get("etag", ""))
        return look

    def _meant(self) -> _Rollup:
        """The rollup that is looked at. Raises QueryError for a node that it can never have."""
        there = {item["name"]: len(item["levels"]) for item in self._client.get("/status").document["rollups"]}
        name = self._watched.rollup
        if name is None and len(there) > 1:
            raise QueryError(f"there are several rollups: {', '.join(there)}; name the one you mean")
        if name is not None and name not in there:
            raise QueryError(f"there is no rollup {name!r}; there is: {', '.join(there)}")
        rollup = _Rollup(*next(item for item in there.items() if name in {None, item[0]}))
        if len(self._labels) > rollup.levels:
            raise QueryError(
                f"there cannot be a node {join(self._labels)}: the rollup {rollup.name} has {rollup.levels} levels"
            )
        return rollup

    def _depth(self, rollup: _Rollup) -> int:
        """How many levels below the node are looked at where there is room for all."""
        most = rollup.levels - len(self._labels)
        return most if self._watched.depth is None else min(most, self._watched.depth)

    def _totals(self, rollup: _Rollup, depth: int, room: int | None, etag: str | None) -> Reply:
        path = "".join(f"/{quote(part, safe='/')}" for part in (rollup.name, join(self._labels)) if part)
        query = {"depth": depth} | ({"limit": max(room, 1)} if room is not None and depth == _FIRST_LEVEL else {})
        return self._client.get(f"/totals{path}?{urlencode(query)}", etag or None)

    def _deeper(self, rollup: _Rollup, depth: int, room: int, reply: Reply) -> tuple[int, Reply]:
        """As many more levels as there is room for, level by level; or fewer, where there is room no longer."""
        while depth > _FIRST_LEVEL and len(reply.document["rows"]) > room:
            depth -= 1
            reply = self._totals(rollup, depth, room, None)
        while depth < self._depth(rollup) and not reply.document["more"]:
            rows = reply.document["rows"]
            below = sum(row["children"] for row in rows if row["depth"] == len(self._labels) + depth)
            if len(rows) + below > room:
                break
            depth += 1
            reply = self._totals(rollup, depth, room, None)
        return depth, reply

    def _seen(self, rollup: _Rollup, depth: int, room: int | None, reply: Reply) -> Look:
        found = reply.document
        status = self._client.get("/status").document
        scales = {measure["name"]: measure["scale"] for measure in status["measures"]}
        rows, cut = fitting([_row(row) for row in found["rows"]], room)
        below = any(row["children"] for row in found["rows"] if row["depth"] == len(self._labels) + depth)
        return Look(
            status["pipeline"],
            Tree(rows, found["rollup"], scales),
            cut or bool(found["more"]) or (below and depth < self._depth(rollup)),
            self._moment(found, status["events"]),
        )

    def _moment(self, found: Mapping[str, Any], events: int) -> StoreMoment:
        time, newest = found["commit_time"], found["newest_event"]
        commit = Commit(found["commit"], None if time is None else to_datetime(parse_timestamp(time)), time)
        newest_time = None if newest is None else to_datetime(parse_timestamp(newest))
        return StoreMoment(self._client.url, commit, newest_time, newest, events)


def _row(row: Mapping[str, Any]) -> NodeTotal:
    sums = {name: Decimal(value) for name, value in row["measures"].items()}
    return NodeTotal(row["path"], split(row["path"]), row["depth"], row["label"], row["count"], sums)
