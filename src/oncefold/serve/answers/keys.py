"""Routes about keys and names: the history of a key, and what a part of a name finds."""

from typing import Any

from oncefold.core.definition import Pipeline
from oncefold.core.limits import KEY_BYTES
from oncefold.queries import Questions, documents
from oncefold.queries.snapshot import Snapshot
from oncefold.serve.answers import schemas
from oncefold.serve.answers.declared import Described, Found, Inquiry, Route, Values
from oncefold.serve.answers.formats import ROWS
from oncefold.serve.answers.fresh import freshness_of
from oncefold.serve.answers.nodes import FORM, ROLLUP, without_commit
from oncefold.serve.answers.parameters import Parameter, flag, number, text

MOST_FOUND = 200

_KEY = Parameter("key", *text(KEY_BYTES), "a key as it is written; parts of a composite one are joined by /")
_EVERY = Parameter("every", *flag(), "also the events that changed nothing", default=False)
_Q = Parameter("q", *text(200, 1), "a part of a label, or the beginning of a key", required=True, example="a")
_LIMIT = Parameter("limit", *number(1, MOST_FOUND), "at most so many of each", default=20, example=20)


def routes(_pipeline: Pipeline) -> list[Route]:
    """The two routes."""
    return [
        Route("/history/{key}", Inquiry(_history, ROWS), _history_described(), (_KEY,), (_EVERY, FORM)),
        Route("/search", Inquiry(_search), _search_described(), (), (_Q, _LIMIT, ROLLUP)),
    ]


def _history(ask: Questions, snapshot: Snapshot, values: Values) -> Found:
    found = ask.history(values["key"], every=values["every"])
    return Found(freshness_of(snapshot), lambda: without_commit(documents.history(found)), found)


def _history_described() -> Described:
    amounts = schemas.object_of({}, others=schemas.AMOUNT)
    stands = {
        "deleted": schemas.BOOLEAN,
        "version": schemas.or_null(schemas.TEXT),
        "leaf": schemas.or_null(schemas.TEXT),
        "values": amounts,
    }
    row = {
        "commit": schemas.COUNT,
        "time": schemas.or_null(schemas.TIME),
        "outcome": schemas.TEXT,
        "version": schemas.or_null(schemas.TEXT),
        "leaf": schemas.or_null(schemas.TEXT),
    }
    members = {
        **schemas.FRESH,
        "key": schemas.TEXT,
        "stands": schemas.object_of(stands),
        "forgotten_to": schemas.or_null(schemas.COUNT),
        "rows": schemas.array_of(schemas.object_of(row, others=schemas.or_null(schemas.AMOUNT))),
    }
    return Described(
        summary="What arrived for a key",
        description="Oldest first. What lies beyond the retention is gone; `forgotten_to` says up to which commit.",
        answer=schemas.object_of(members),
        errors=(404, 406, 422, 503),
        operation_id="history",
    )


def _search(ask: Questions, snapshot: Snapshot, values: Values) -> Found:
    found = ask.search(values["q"], rollup=values["rollup"], limit=values["limit"])

    def document() -> dict[str, Any]:
        nodes = [{"rollup": node.rollup, "path": node.path, "count": node.count} for node in found.nodes]
        return {"nodes": nodes, "keys": [{"key": key.key, "live": key.live} for key in found.keys]}

    return Found(freshness_of(snapshot), document)


def _search_described() -> Described:
    node = schemas.object_of({"rollup": schemas.TEXT, "path": schemas.TEXT, "count": schemas.COUNT})
    key = schemas.object_of({"key": schemas.TEXT, "live": schemas.BOOLEAN})
    members = {**schemas.FRESH, "nodes": schemas.array_of(node), "keys": schemas.array_of(key)}
    return Described(
        summary="Nodes and keys by a part of their name",
        description="Live nodes whose label holds the text, those first whose label begins with it; then the key that "
        "is the text, and newer keys that begin with it.",
        answer=schemas.object_of(members),
        errors=(404, 406, 422, 503),
        operation_id="search",
    )
