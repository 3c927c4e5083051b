"""Routes about the store as a whole: status, and whether every total is right."""

from collections.abc import Callable
from typing import Any

from oncefold.core.definition import Pipeline
from oncefold.core.fold import Outcome
from oncefold.queries import Questions, documents
from oncefold.queries.snapshot import Snapshot
from oncefold.serve.answers import schemas
from oncefold.serve.answers.amounts import member_names
from oncefold.serve.answers.declared import Described, Found, Inquiry, Route, Values
from oncefold.serve.answers.fresh import freshness_of
from oncefold.serve.answers.nodes import without_commit

Live = Callable[[], tuple[float, int]]
"""Events per second now, and requests that wait for their commit."""


def routes(pipeline: Pipeline, live: Live) -> list[Route]:
    """The two routes."""

    def status(ask: Questions, snapshot: Snapshot, _: Values) -> Found:
        found = ask.status()
        return Found(freshness_of(snapshot), lambda: _status_document(pipeline, documents.status(found), live))

    return [
        Route("/status", Inquiry(status, lane="quick", kept=False), _status_described()),
        Route("/verify", Inquiry(_verify, kept=False), _verify_described(), methods=("GET", "POST")),
    ]


def _status_document(pipeline: Pipeline, document: dict[str, Any], live: Live) -> dict[str, Any]:
    rate, waiting = live()
    names = member_names(pipeline)
    return {
        **without_commit(document),
        "rollups": [
            {"name": rollup.name, "levels": [level.name for level in rollup.levels]} for rollup in pipeline.rollups
        ],
        "measures": [
            {"name": measure.name, "scale": measure.scale, "member": names[measure.name]}
            for measure in pipeline.measures
        ],
        "events_per_second": rate,
        "waiting_requests": waiting,
    }


def _status_described() -> Described:
    whole, text = schemas.COUNT, schemas.TEXT
    measure = schemas.object_of({"name": text, "scale": whole, "member": text})
    members = {
        **schemas.FRESH,
        "store": text,
        "pipeline": text,
        "fingerprint": text,
        "format": whole,
        "created": schemas.TIME,
        "file_bytes": whole,
        "behind_seconds": schemas.or_null(schemas.SECONDS),
        "keys": whole,
        "live": whole,
        "nodes": whole,
        "events": whole,
        "counts": schemas.object_of({outcome.name.lower(): whole for outcome in Outcome}),
        "rejects": whole,
        "discarded": whole,
        "conflicts": whole,
        "retention_seconds": schemas.or_null(schemas.SECONDS),
        "oldest_commit": whole,
        "sources": schemas.array_of({"type": "object", "required": ["source"], "properties": {"source": text}}),
        "rollups": schemas.array_of(schemas.object_of({"name": text, "levels": schemas.array_of(text)})),
        "measures": schemas.array_of(measure),
        "events_per_second": schemas.SECONDS,
        "waiting_requests": whole,
    }
    return Described(
        summary="The store as a whole",
        description="Counts, positions, freshness, the rollups and measures there are, and how much is going on. "
        "`member` is what documents of nodes call a measure.",
        answer=schemas.object_of(members),
        errors=(406, 422, 503),
        operation_id="status",
    )


def _verify(ask: Questions, snapshot: Snapshot, _: Values) -> Found:
    found = ask.verify()

    def document() -> dict[str, Any]:
        whole = without_commit(documents.verification(found))
        whole["rows"] = whole.pop("wrong")
        return whole

    return Found(freshness_of(snapshot), document)


def _verify_described() -> Described:
    amounts = schemas.object_of({"count": schemas.WHOLE, "sums": schemas.object_of({}, others=schemas.AMOUNT)})
    row = {
        "rollup": schemas.TEXT,
        "path": schemas.TEXT,
        "fault": schemas.or_null(schemas.TEXT),
        "stored": schemas.or_null(amounts),
        "recomputed": amounts,
    }
    members = {
        **schemas.FRESH,
        "exact": schemas.BOOLEAN,
        "nodes": schemas.COUNT,
        "keys": schemas.COUNT,
        "rows": schemas.array_of(schemas.object_of(row)),
    }
    return Described(
        summary="Every total recomputed from the keys and compared",
        description="The rows are the wrong nodes. It reads the whole state, and needs the admin scope.",
        answer=schemas.object_of(members),
        errors=(406, 422, 503),
        tag="admin",
        operation_id="verify",
    )
