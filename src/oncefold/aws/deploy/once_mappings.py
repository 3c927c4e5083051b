"""Whether event source mappings are set as the counters of their function need it. Pure.

Settings are those of Lambda's ListEventSourceMappings; a stream's limits are -1 where there are none.
"""

from collections.abc import Iterator, Mapping
from typing import Any

_UNLIMITED = (-1, None)


def wrong_settings(mapping: Mapping[str, Any], way: str, *, partial: bool) -> list[str]:
    """What of a mapping would lose or double records, in sentences; none where all is well."""
    return list(_wrong(mapping, way, partial=partial))


def _wrong(mapping: Mapping[str, Any], way: str, *, partial: bool) -> Iterator[str]:
    source = str(mapping.get("EventSourceArn", ""))
    stream = ":sqs:" not in source
    reports = "ReportBatchItemFailures" in (mapping.get("FunctionResponseTypes") or ())
    limited = stream and not (
        mapping.get("MaximumRetryAttempts") in _UNLIMITED and mapping.get("MaximumRecordAgeInSeconds") in _UNLIMITED
    )
    if partial and not reports:
        yield (
            "it takes any answer for success, so what the answer names is lost: set ReportBatchItemFailures, or give "
            "the counters partial=False and this command --whole"
        )
    if way == "position":
        if ":kinesis:" not in source:
            yield "its records do not say their shard: count them by id or by version"
        if (mapping.get("ParallelizationFactor") or 1) > 1:
            yield "several batches of a shard are under way at once: set ParallelizationFactor to 1, or count by id"
        if limited:
            yield (
                "it gives records up, and what comes later moves the position past them: set MaximumRetryAttempts and "
                "MaximumRecordAgeInSeconds to -1, or count by id"
            )
    elif limited and not ((mapping.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination"):
        yield "it gives records up and says nobody which: name a failure destination, or set its limits to -1"
