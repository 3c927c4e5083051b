"""Routes about nodes: totals, series, and the keys behind a total."""

from collections.abc import Sequence
from dataclasses import replace

from oncefold.core.definition import Pipeline
from oncefold.core.errors import InvalidQueryError
from oncefold.core.limits import LABEL_BYTES, NAME_CHARS, TEXT_BYTES
from oncefold.core.measures import Measure
from oncefold.queries.event_model import Explanation
from oncefold.queries.model import Series, Totals
from oncefold.queries.store_reader import StoreReader
from oncefold.serve.answers import schemas
from oncefold.serve.answers.declared import (
    ROWS,
    DeclaredRoute,
    Described,
    Parameter,
    RouteQuery,
    Schema,
    Values,
    choice,
    number,
    number_or_all,
    text,
)

MOST_NODES = 100_000
"""Nodes of an answer of several levels, or of the past, which are read as a whole."""
MOST_RANKED = 1_000_000
"""Children that are sorted or filtered."""
PAGE = 1_000
"""Children of an answer that gives no limit."""
MOST_PAGE = 10_000
MOST_KEYS = 100_000
MOST_POINTS = 500
MOST_DEPTH = 100
_PATH_CHARS = 4_096
"""With its escapes no path is longer."""

ROLLUP = Parameter("rollup", *text(1_000), "the name of a rollup")
PATH = Parameter(
    "path",
    *text(_PATH_CHARS),
    r"a node: its labels joined by /, each with \/ for a slash, \\ for a backslash, \e if it is empty; percent-encoded",
    default="",
)
DEPTH = Parameter(
    "depth", *number_or_all(0, MOST_DEPTH), "how many levels below the node, or all", default=1, example=1
)
_MOMENT = {"anyOf": [{"type": "integer", "minimum": 0}, schemas.TIME]}
AS_OF = Parameter("as_of", text(64, 1)[0], _MOMENT, "a commit's number or an RFC 3339 time: as it was then")
FORM = Parameter("form", *choice(*(form.name for form in ROWS)), "the form of the answer; stronger than Accept")
_LIMIT = Parameter("limit", *number(1, MOST_PAGE), f"at most so many children, with depth 1; {PAGE} if not given")
_AFTER = Parameter("after", *text(LABEL_BYTES), "only children beyond this label; then depth is 1")
_SORT = Parameter(
    "sort", *text(NAME_CHARS), "children by `label`, `count` or a measure, the greatest first; depth is 1"
)
_ORDER = Parameter("order", *choice("ascending", "descending"), "the direction of sort; labels ascend, values descend")
_FILTER = Parameter("filter", *text(LABEL_BYTES), "only children whose label holds this text, in either case")
_POINTS = Parameter("points", *number(1, MOST_POINTS), "at most so many points", default=60, example=60)
_SINCE = Parameter(
    "since",
    text(64, 1)[0],
    _MOMENT,
    "a commit's number or an RFC 3339 time: only from the commit on that was the newest",
)
_KEYS = Parameter(
    "limit", *number_or_all(0, MOST_KEYS), f"at most so many keys; all is {MOST_KEYS}", default=20, example=20
)
_MEASURE = Parameter("measure", *text(NAME_CHARS), "only the keys that make this measure what it is")
_VALUE = Parameter("value", *text(TEXT_BYTES), "of a measure that counts different values: only the keys with this one")
_KEYS_AFTER = Parameter("after", *number(0, 2**32), "so many keys are left out first", default=0)


def node_routes(pipeline: Pipeline) -> list[DeclaredRoute]:
    """Each for the root of a rollup, and for a node below it."""
    measures = pipeline.measures
    found = [
        DeclaredRoute("/totals/{rollup}", RouteQuery(_totals, ROWS, "quick"), _totals_described(measures)),
        DeclaredRoute("/series/{rollup}", RouteQuery(_series), _series_described(measures)),
        DeclaredRoute("/explain/{rollup}", RouteQuery(_explain, ROWS), _explain_described(measures)),
    ]
    queries = {
        "/totals/{rollup}": (DEPTH, AS_OF, FORM, _LIMIT, _AFTER, _SORT, _ORDER, _FILTER),
        "/series/{rollup}": (_POINTS, _SINCE),
        "/explain/{rollup}": (_KEYS, _KEYS_AFTER, _MEASURE, _VALUE, FORM),
    }
    both = []
    for route in found:
        root = replace(route, in_path=(ROLLUP,), in_query=queries[route.path])
        of_root = replace(root.described, summary=f"{root.described.summary}: the root")
        both.append(replace(root, described=of_root))
        operation = f"{root.described.operation_id}_of_node"
        below = replace(root.described, operation_id=operation, summary=f"{root.described.summary}: a node")
        both.append(replace(root, path=f"{route.path}/{{path}}", in_path=(ROLLUP, PATH), described=below))
    return both


def _totals(reader: StoreReader, values: Values) -> Totals:
    extent = {name: values[name] for name in ("depth", "as_of", "after", "limit")}
    node, rollup = values.get("path", ""), values["rollup"]
    if extent["limit"] is None and extent["depth"] == 1:
        extent["limit"] = PAGE
    if extent["depth"] is None or extent["depth"] > 1 or extent["as_of"] is not None:
        _require_few(reader, node, rollup, extent["depth"], MOST_NODES)
    sort, order, matching = (values[name] for name in ("sort", "order", "filter"))
    if sort is order is matching is None:
        return reader.query(node, rollup=rollup, **extent)
    _require_few(reader, node, rollup, extent["depth"], MOST_RANKED)
    ascending = None if order is None else order == "ascending"
    return reader.query(node, rollup=rollup, **extent, sort=sort, ascending=ascending, matching=matching or "")


def _require_few(reader: StoreReader, node: str, rollup: str, depth: int | None, most: int) -> None:
    """Raises InvalidQueryError where so many nodes would be read that others wait for their answers."""
    if depth != 0 and reader.count_below(node, rollup=rollup, depth=depth, most=most) > most:
        raise InvalidQueryError(
            f"more than {most:,} nodes would be read, and depth beyond 1, the past, sort and filter are answered up to "
            "so many; query level by level, with limit and after, or the store file itself with oncefold query"
        )


def _totals_described(measures: Sequence[Measure]) -> Described:
    row: dict[str, Schema] = {
        "path": schemas.TEXT,
        "depth": schemas.COUNT,
        "label": schemas.TEXT,
        "count": schemas.COUNT,
        "children": schemas.COUNT,
    }
    members = {
        **schemas.FRESH,
        "rollup": schemas.TEXT,
        "path": schemas.TEXT,
        "levels": schemas.array_of(schemas.TEXT),
        "scales": schemas.object_of({}, others=schemas.COUNT),
        "rows": schemas.array_of(schemas.object_of({**row, "measures": schemas.measures(measures)})),
        "more": schemas.BOOLEAN,
    }
    return Described(
        summary="Exact totals of a node and of what lies below it",
        description="The first row is the node itself; the others follow in tree order. Nodes without live keys are "
        f"left out. `children` counts the live children of a node. With depth 1 the children come page by page, {PAGE} "
        "if no limit is given, in order of their labels; `more` says whether there are more, and the last label of a "
        "page is the `after` of the next. With `sort` the greatest children come first, with `filter` those whose "
        "label holds a text.",
        answer=schemas.object_of(members),
        errors=(404, 406, 422, 503),
        operation_id="totals",
    )


def _series(reader: StoreReader, values: Values) -> Series:
    extent = {name: values[name] for name in ("points", "since")}
    return reader.series(values.get("path", ""), rollup=values["rollup"], **extent)


def _series_described(measures: Sequence[Measure]) -> Described:
    point = {"commit": schemas.COUNT, "time": schemas.or_null(schemas.TIME), "count": schemas.COUNT}
    members = {
        **schemas.FRESH,
        "rollup": schemas.TEXT,
        "path": schemas.TEXT,
        "scales": schemas.object_of({}, others=schemas.COUNT),
        "points": schemas.array_of(schemas.object_of({**point, "measures": schemas.measures(measures)})),
    }
    return Described(
        summary="The totals of a node over time",
        description="As of commits spread evenly over the time, oldest first; the last is now. They reach back as far "
        "as the retention, or as a bounded amount of reading.",
        answer=schemas.object_of(members),
        errors=(404, 406, 422, 503),
        operation_id="series",
    )


def _explain(reader: StoreReader, values: Values) -> Explanation:
    limit = MOST_KEYS if values["limit"] is None else values["limit"]
    chosen = {name: values[name] for name in ("after", "measure", "value")}
    return reader.explain(values.get("path", ""), rollup=values["rollup"], limit=limit, **chosen)


def _explain_described(measures: Sequence[Measure]) -> Described:
    members = {
        **schemas.FRESH,
        "rollup": schemas.TEXT,
        "path": schemas.TEXT,
        "measure": schemas.TEXT,
        "value": schemas.or_null(schemas.TEXT),
        "count": schemas.COUNT,
        "measures": schemas.measures(measures),
        "total": schemas.amounts(measures),
        "complete": schemas.BOOLEAN,
        "adds_up": schemas.BOOLEAN,
        "moved": schemas.BOOLEAN,
        "rows": schemas.array_of(
            schemas.object_of(
                {
                    "key": schemas.TEXT,
                    "version": schemas.or_null(schemas.TEXT),
                    "leaf": schemas.TEXT,
                    "leaves": schemas.array_of(schemas.TEXT),
                    "measures": schemas.measures(measures, of_keys=True),
                },
                optional=("leaves",),
            )
        ),
        "more": schemas.BOOLEAN,
    }
    return Described(
        summary="The keys behind a total",
        description="In the order in which they first arrived. Every key of the store is read. `leaves` are the paths "
        "of a key's leaves, where the definition may give it several.",
        answer=schemas.object_of(members, optional=("measure", "value")),
        errors=(404, 406, 422, 503),
        operation_id="explain",
    )
