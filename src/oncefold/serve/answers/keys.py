"""Routes about keys and events: history, search, rejects, conflicts."""

from collections.abc import Sequence

from oncefold.core.definition import Pipeline
from oncefold.core.limits import KEY_BYTES
from oncefold.core.measures import Measure
from oncefold.queries.event_model import Conflicts, History, RejectReasons, Rejects
from oncefold.queries.model import SearchResult
from oncefold.queries.store_reader import StoreReader
from oncefold.serve.answers import schemas
from oncefold.serve.answers.declared import (
    ROWS,
    DeclaredRoute,
    Described,
    Parameter,
    RouteQuery,
    Values,
    choice,
    flag,
    number,
    text,
)
from oncefold.serve.answers.nodes import FORM, ROLLUP

MOST_FOUND = 200
MOST_ARRIVALS = 10_000
"""Events of one page of a key's history."""

_KEY = Parameter("key", *text(KEY_BYTES), "a key as it is written; parts of a composite one are joined by /")
_EVERY = Parameter("every", *flag(), "also the events that changed nothing", default=False)
_ARRIVALS = Parameter("limit", *number(1, MOST_ARRIVALS), "at most so many events", default=1_000, example=1_000)
_ARRIVALS_AFTER = Parameter("after", *number(0, 10**12), "so many events are left out first", default=0)
_Q = Parameter("q", *text(200, 1), "a part of a label, or the beginning of a key", required=True, example="a")
_LIMIT = Parameter("limit", *number(1, MOST_FOUND), "at most so many of each", default=20, example=20)


def key_routes(pipeline: Pipeline) -> list[DeclaredRoute]:
    """The two routes."""
    measures = pipeline.measures
    return [
        DeclaredRoute(
            "/history/{key}",
            RouteQuery(_history, ROWS),
            _history_described(measures),
            (_KEY,),
            (_EVERY, _ARRIVALS, _ARRIVALS_AFTER, FORM),
        ),
        DeclaredRoute("/search", RouteQuery(_search), _search_described(measures), (), (_Q, _LIMIT, ROLLUP)),
    ]


def _history(reader: StoreReader, values: Values) -> History:
    return reader.history(values["key"], every=values["every"], limit=values["limit"], after=values["after"])


def _history_described(measures: Sequence[Measure]) -> Described:
    current = {
        "deleted": schemas.BOOLEAN,
        "version": schemas.or_null(schemas.TEXT),
        "leaf": schemas.or_null(schemas.TEXT),
        "leaves": schemas.object_of({}, others=schemas.array_of(schemas.TEXT)),
        "measures": schemas.object_of({}, others=schemas.or_null(schemas.TEXT)),
    }
    row = {
        "commit": schemas.COUNT,
        "time": schemas.or_null(schemas.TIME),
        "outcome": schemas.TEXT,
        "version": schemas.or_null(schemas.TEXT),
        "leaf": schemas.or_null(schemas.TEXT),
        "measures": schemas.measures(measures, nullable=True, of_keys=True),
        "known": schemas.BOOLEAN,
    }
    members = {
        **schemas.FRESH,
        "key": schemas.TEXT,
        "current": schemas.object_of(current, optional=("leaves",)),
        "forgotten_to": schemas.or_null(schemas.COUNT),
        "forgotten_to_time": schemas.or_null(schemas.TIME),
        "rows": schemas.array_of(schemas.object_of(row)),
        "more": schemas.BOOLEAN,
    }
    return Described(
        summary="What arrived for a key",
        description="Oldest first. What lies beyond the retention is gone; `forgotten_to` says up to which commit. "
        "`current.leaves` has the paths of the key's leaves by rollup, where the definition may give it several.",
        answer=schemas.object_of(members),
        errors=(404, 406, 422, 503),
        operation_id="history",
    )


def _search(reader: StoreReader, values: Values) -> SearchResult:
    return reader.search(values["q"], rollup=values["rollup"], limit=values["limit"])


def _search_described(measures: Sequence[Measure]) -> Described:
    place = {"rollup": schemas.TEXT, "path": schemas.TEXT, "count": schemas.COUNT}
    node = schemas.object_of({**place, "measures": schemas.measures(measures)})
    key = schemas.object_of(
        {
            "key": schemas.TEXT,
            "live": schemas.BOOLEAN,
            "version": schemas.or_null(schemas.TEXT),
            "leaf": schemas.or_null(schemas.TEXT),
            "measures": schemas.object_of({}, others=schemas.or_null(schemas.TEXT)),
        }
    )
    members = {**schemas.FRESH, "nodes": schemas.array_of(node), "keys": schemas.array_of(key)}
    return Described(
        summary="Nodes and keys by a part of their name",
        description="Live nodes whose label holds the text, those first whose label begins with it; then the key that "
        "is the text, and newer keys that begin with it.",
        answer=schemas.object_of(members),
        errors=(404, 406, 422, 503),
        operation_id="search",
    )


MOST_LISTED = 1_000
REASON_CHARS = 4_096
RAW_BYTES = 16_384
"""Bytes of a rejected event that are sent; `size` says how long it is."""

_LISTED_LIMIT = Parameter("limit", *number(0, MOST_LISTED), "at most so many", default=50, example=50)
_ORDER = Parameter(
    "order",
    *choice("oldest", "newest"),
    "which come first: the oldest, by rising ids, if not given",
    default="oldest",
    example="newest",
)
_AFTER = Parameter(
    "after",
    *number(0, 10**18 - 1),
    "only those that follow this id in the order: greater ids, or smaller ones with order=newest; 0 is the beginning",
    default=0,
    example=0,
)
_CONFLICTS_AFTER = Parameter(
    "after",
    *number(0, 10**18 - 1),
    "only those that follow this id, that is, with smaller ids; 0 is the beginning",
    default=0,
    example=0,
)


REASON = Parameter("reason", *text(REASON_CHARS, 1), "only events with this reason, as GET /rejects/reasons has it")


def list_routes(pipeline: Pipeline) -> list[DeclaredRoute]:
    """The three routes."""
    return [
        DeclaredRoute(
            "/rejects",
            RouteQuery(_rejects, ROWS),
            _rejects_described(),
            (),
            (_LISTED_LIMIT, _AFTER, _ORDER, REASON, FORM),
        ),
        DeclaredRoute("/rejects/reasons", RouteQuery(_reasons, ROWS), _reasons_described(), (), (FORM,)),
        DeclaredRoute(
            "/conflicts",
            RouteQuery(_conflicts, ROWS),
            _conflicts_described(pipeline),
            (),
            (_LISTED_LIMIT, _CONFLICTS_AFTER, FORM),
        ),
    ]


def _rejects(reader: StoreReader, values: Values) -> Rejects:
    newest_first = values["order"] == "newest"
    chosen = {name: values[name] for name in ("after", "reason")}
    return reader.rejects(values["limit"], most_bytes=RAW_BYTES, newest_first=newest_first, **chosen)


def _reasons(reader: StoreReader, _: Values) -> RejectReasons:
    return reader.reject_reasons()


def _reasons_described() -> Described:
    row = {"reason": schemas.TEXT, "events": schemas.COUNT, "newest": schemas.COUNT, "newest_commit": schemas.COUNT}
    rows = schemas.array_of(schemas.object_of(row))
    return Described(
        summary="Why events could not be read",
        description="Each reason on the list without the values and numbers in it, which are `...`: how many events "
        "have it, the id of the newest of them, and its commit. The most frequent comes first.",
        answer=schemas.object_of({**schemas.FRESH, "total": schemas.COUNT, "rows": rows}),
        errors=(406, 422, 503),
        operation_id="reject_reasons",
    )


def _rejects_described() -> Described:
    row = {
        "id": schemas.COUNT,
        "commit": schemas.COUNT,
        "time": schemas.or_null(schemas.TIME),
        "source": schemas.TEXT,
        "position": schemas.COUNT,
        "unit": {"enum": ["byte", "row", "item"]},
        "reason": schemas.TEXT,
        "raw": schemas.or_null(schemas.TEXT),
        "raw_base64": schemas.or_null(schemas.TEXT),
        "size": schemas.COUNT,
        "format": schemas.TEXT,
        "context": schemas.TEXT,
    }
    return Described(
        summary="Events that could not be read",
        description="In order of their ids, which rise, or fall with `order=newest`; the last id of a page is the "
        f"`after` of the next. Of each event the first {RAW_BYTES:,} bytes are shown, as text in `raw`, "
        "or in `raw_base64` if they are not UTF-8; `size` is that of all of it.",
        answer=schemas.object_of(
            {**schemas.FRESH, "total": schemas.COUNT, "rows": schemas.array_of(schemas.object_of(row))}
        ),
        errors=(406, 422, 503),
        operation_id="rejects",
    )


def _conflicts(reader: StoreReader, values: Values) -> Conflicts:
    return reader.conflicts(values["limit"], after=values["after"])


def _conflicts_described(pipeline: Pipeline) -> Described:
    measures = pipeline.measures
    row = {
        "id": schemas.COUNT,
        "commit": schemas.COUNT,
        "time": schemas.or_null(schemas.TIME),
        "key": schemas.TEXT,
        "version": schemas.or_null(schemas.TEXT),
        "kept_leaf": schemas.or_null(schemas.TEXT),
        "dropped_leaf": schemas.or_null(schemas.TEXT),
        "kept_measures": schemas.measures(measures, nullable=True, of_keys=True),
        "dropped_measures": schemas.measures(measures, nullable=True, of_keys=True),
    }
    rows = schemas.array_of(schemas.object_of(row))
    return Described(
        summary="Events that contradict each other",
        description="The newest first, by falling ids; the last id of a page is the `after` of the next. Of two events "
        "of one key and version, which counts (`kept_leaf`, `kept_measures`) and which does not (`dropped_leaf`, "
        "`dropped_measures`).",
        answer=schemas.object_of({**schemas.FRESH, "total": schemas.COUNT, "rows": rows}),
        errors=(406, 422, 503),
        operation_id="conflicts",
    )
