"""Routes about the store as a whole: status, and whether every total is right."""

from collections.abc import Callable
from dataclasses import replace

from oncefold.core.definition import Pipeline
from oncefold.core.fold import Outcome
from oncefold.queries.model import Verification
from oncefold.queries.status_model import ServerLoad, StoreStatus
from oncefold.queries.store_reader import StoreReader
from oncefold.serve.answers import schemas
from oncefold.serve.answers.declared import Described, Inquiry, Route, Values


def routes(pipeline: Pipeline, live: Callable[[], ServerLoad]) -> list[Route]:
    """The two routes; `live` says what the server is doing."""

    def status(reader: StoreReader, _: Values) -> StoreStatus:
        return replace(reader.status(), load=live())

    return [
        Route("/status", Inquiry(status, lane="quick", kept=False), _status_described()),
        Route("/verify", Inquiry(_verify, kept=False), _verify_described(pipeline), methods=("GET", "POST")),
    ]


def _status_described() -> Described:
    whole, text = schemas.COUNT, schemas.TEXT
    measure = schemas.object_of({"name": text, "scale": whole})
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
        "oldest_commit_time": schemas.or_null(schemas.TIME),
        "sources": schemas.array_of({"type": "object", "required": ["source"], "properties": {"source": text}}),
        "version_type": schemas.or_null({"enum": ["integer", "timestamp"]}),
        "rollups": schemas.array_of(schemas.object_of({"name": text, "levels": schemas.array_of(text)})),
        "measures": schemas.array_of(measure),
        "events_per_second": schemas.SECONDS,
        "waiting_requests": whole,
    }
    return Described(
        summary="The store as a whole",
        description="Counts, positions, freshness, the rollups and measures there are, and how much is going on.",
        answer=schemas.object_of(members),
        errors=(406, 422, 503),
        operation_id="status",
    )


def _verify(reader: StoreReader, _: Values) -> Verification:
    return reader.verify()


def _verify_described(pipeline: Pipeline) -> Described:
    amounts = schemas.amounts([measure.name for measure in pipeline.measures])
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
        "undecided": schemas.array_of(schemas.TEXT),
        "tries": schemas.COUNT,
        "moved": schemas.BOOLEAN,
    }
    return Described(
        summary="Every total recomputed from the keys and compared",
        description="The rows are the wrong nodes. It reads the whole state, and needs the admin scope.",
        answer=schemas.object_of(members),
        errors=(406, 422, 503),
        tag="admin",
        operation_id="verify",
    )
