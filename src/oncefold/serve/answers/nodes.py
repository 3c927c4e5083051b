"""Routes about nodes: totals, series, and the keys behind a total."""

from dataclasses import replace
from typing import Any

from oncefold.core.definition import Pipeline
from oncefold.core.errors import IllFormedQuestionError
from oncefold.core.limits import LABEL_BYTES
from oncefold.queries import Questions, documents
from oncefold.queries.branches import Branch
from oncefold.queries.series import Series
from oncefold.queries.snapshot import Snapshot
from oncefold.serve.answers import schemas
from oncefold.serve.answers.amounts import member_names, member_scales, plain
from oncefold.serve.answers.declared import Described, Found, Inquiry, Route, Schema, Values
from oncefold.serve.answers.formats import ROWS
from oncefold.serve.answers.fresh import Freshness, freshness_of
from oncefold.serve.answers.parameters import Parameter, choice, number, number_or_all, text
from oncefold.store.moments import moment

MOST_NODES = 1_000_000
"""Nodes of a store of which all may be asked for at once."""
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
_LIMIT = Parameter("limit", *number(1, MOST_PAGE), "at most so many children; then depth is 1")
_AFTER = Parameter("after", *text(LABEL_BYTES), "only children beyond this label; then depth is 1")
_POINTS = Parameter("points", *number(1, MOST_POINTS), "at most so many points", default=60, example=60)
_KEYS = Parameter(
    "limit", *number_or_all(0, MOST_KEYS), f"at most so many keys; all is {MOST_KEYS}", default=20, example=20
)
_KEYS_AFTER = Parameter("after", *number(0, 2**32), "so many keys are left out first", default=0)


def routes(pipeline: Pipeline) -> list[Route]:
    """Each for the root of a rollup, and for a node below it."""
    names = member_names(pipeline)
    found = [
        Route("/totals/{rollup}", Inquiry(_totals, ROWS, "quick"), _totals_described(list(names.values()))),
        Route("/series/{rollup}", Inquiry(_series), _series_described(list(names.values()))),
        Route("/explain/{rollup}", Inquiry(_explain, ROWS), _explain_described()),
    ]
    queries = {
        "/totals/{rollup}": (DEPTH, AS_OF, FORM, _LIMIT, _AFTER),
        "/series/{rollup}": (_POINTS,),
        "/explain/{rollup}": (_KEYS, _KEYS_AFTER, FORM),
    }
    both = []
    for route in found:
        root = replace(route, in_path=(ROLLUP,), in_query=queries[route.path])
        words = replace(root.described, summary=f"{root.described.summary}: the root")
        both.append(replace(root, described=words))
        operation = f"{root.described.operation_id}_of_node"
        below = replace(root.described, operation_id=operation, summary=f"{root.described.summary}: a node")
        both.append(replace(root, path=f"{route.path}/{{path}}", in_path=(ROLLUP, PATH), described=below))
    return both


def _totals(ask: Questions, snapshot: Snapshot, values: Values) -> Found:
    extent = {name: values[name] for name in ("depth", "as_of", "after", "limit")}
    if extent["limit"] is None and extent["after"] is not None:
        extent["limit"] = MOST_PAGE
    _bounded(snapshot, extent["depth"])
    branch = ask.branch(values.get("path", ""), rollup=values["rollup"], **extent)
    return Found(
        _fresh(snapshot, branch.totals.commit.number), lambda: _totals_document(ask.pipeline, branch), branch.totals
    )


def _fresh(snapshot: Snapshot, commit: int) -> Freshness:
    if commit == snapshot.head().seq:
        return freshness_of(snapshot)
    with snapshot.at_one_commit() as connection:
        return freshness_of(snapshot, moment(connection, commit))


def _bounded(snapshot: Snapshot, depth: int | None) -> None:
    """Raises IllFormedQuestionError for all of a tree that is too large to be sent at once."""
    if depth is None or depth > 1:
        nodes = snapshot.nodes()
        if nodes > MOST_NODES:
            raise IllFormedQuestionError(
                f"the store has {nodes:,} nodes, and depth beyond 1 is answered up to {MOST_NODES:,}; "
                "ask level by level, with limit and after"
            )


def _totals_document(pipeline: Pipeline, branch: Branch) -> dict[str, Any]:
    totals, names = branch.totals, member_names(pipeline)
    levels = pipeline.rollups[pipeline.rollup_index(totals.rollup)].levels
    return {
        "rollup": totals.rollup,
        "path": totals.node.path,
        "levels": [level.name for level in levels],
        "scales": member_scales(pipeline),
        "rows": [
            {
                "path": row.path,
                "depth": row.depth,
                "label": row.label,
                "count": row.count,
                "children": children,
                **plain(names, row.sums),
            }
            for row, children in zip(totals, branch.children, strict=True)
        ],
        "more": branch.more,
    }


def _totals_described(measures: list[str]) -> Described:
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
        "rows": schemas.array_of(schemas.with_amounts(row, measures)),
        "more": schemas.BOOLEAN,
    }
    return Described(
        summary="Exact totals of a node and of what lies below it",
        description="The first row is the node itself; the others follow in tree order. Nodes without live keys are "
        "left out. `children` counts the live children of a node. With `limit` or `after` the children come page by "
        "page, in order of their labels, and `more` says whether there are more.",
        answer=schemas.object_of(members),
        errors=(404, 406, 422, 503),
        operation_id="totals",
    )


def _series(ask: Questions, snapshot: Snapshot, values: Values) -> Found:
    found = ask.series(values.get("path", ""), rollup=values["rollup"], points=values["points"])
    return Found(freshness_of(snapshot), lambda: _series_document(ask.pipeline, found))


def _series_document(pipeline: Pipeline, found: Series) -> dict[str, Any]:
    names = member_names(pipeline)
    return {
        "rollup": found.rollup,
        "path": found.path,
        "scales": member_scales(pipeline),
        "points": [
            {
                "commit": row.commit.number,
                "time": row.commit.time_text,
                "count": row.amounts.count,
                **plain(names, row.amounts.sums),
            }
            for row in found
        ],
    }


def _series_described(measures: list[str]) -> Described:
    point = {"commit": schemas.COUNT, "time": schemas.or_null(schemas.TIME), "count": schemas.COUNT}
    members = {
        **schemas.FRESH,
        "rollup": schemas.TEXT,
        "path": schemas.TEXT,
        "scales": schemas.object_of({}, others=schemas.COUNT),
        "points": schemas.array_of(schemas.with_amounts(point, measures)),
    }
    return Described(
        summary="The totals of a node over time",
        description="As of commits spread evenly over the time, oldest first; the last is now. They reach back as far "
        "as the retention, or as a bounded amount of reading.",
        answer=schemas.object_of(members),
        errors=(404, 406, 422, 503),
        operation_id="series",
    )


def _explain(ask: Questions, snapshot: Snapshot, values: Values) -> Found:
    limit, after = values["limit"], values["after"]
    limit = MOST_KEYS if limit is None else limit
    found = ask.explain(values.get("path", ""), rollup=values["rollup"], limit=limit, after=after)
    more = after + len(found) < found.count
    return Found(freshness_of(snapshot), lambda: {**without_commit(documents.explanation(found)), "more": more}, found)


def without_commit(document: dict[str, Any]) -> dict[str, Any]:
    """A document of the command line without what says how fresh it is."""
    return {name: value for name, value in document.items() if name not in {"commit", "commit_time", "newest_event"}}


def _explain_described() -> Described:
    members = {
        **schemas.FRESH,
        "rollup": schemas.TEXT,
        "path": schemas.TEXT,
        "count": schemas.COUNT,
        "sums": schemas.object_of({}, others=schemas.AMOUNT),
        "complete": schemas.BOOLEAN,
        "adds_up": schemas.or_null(schemas.BOOLEAN),
        "rows": schemas.array_of(
            schemas.object_of(
                {"key": schemas.TEXT, "version": schemas.or_null(schemas.TEXT), "leaf": schemas.TEXT},
                others=schemas.AMOUNT,
            )
        ),
        "more": schemas.BOOLEAN,
    }
    return Described(
        summary="The keys behind a total",
        description="In the order in which they first arrived. Every key of the store is read.",
        answer=schemas.object_of(members),
        errors=(404, 406, 422, 503),
        operation_id="explain",
    )
