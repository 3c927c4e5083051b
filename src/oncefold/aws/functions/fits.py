"""Whether DynamoDB can hold what a pipeline keeps: checked once, before a stack is made of it. Pure.

Single events that are too large are a matter of `plan.refusal`; here it is about definitions none of whose events fit.
"""

from oncefold.aws.functions.plan import EVENT_NODES, refusal
from oncefold.core import leafset
from oncefold.core.definition import Pipeline
from oncefold.core.errors import DefinitionError
from oncefold.core.event import Content
from oncefold.core.fold import Stored

MEASURES = 200
"""Measures of a node. They are added in one update expression, of which DynamoDB takes 4 KB."""


def check_fits(pipeline: Pipeline) -> None:
    """Raises DefinitionError for a pipeline that DynamoDB cannot hold."""
    if pipeline.engine_only:
        named = ", ".join(f"{measure.name} ({measure.kind})" for measure in pipeline.engine_only)
        raise DefinitionError(
            f"pipeline {pipeline.name}: the functions on AWS cannot keep {named}: what such a measure is after a "
            "correction follows from all keys below a node. Run the engine as a consumer of the same stream, "
            "`oncefold run PIPELINE.toml kinesis://STREAM --store FILE`, or deploy a definition without them"
        )
    if len(pipeline.amounts) > MEASURES:
        raise DefinitionError(
            f"pipeline {pipeline.name}: it has {len(pipeline.measures):,} measures; a node in DynamoDB takes up to "
            f"{MEASURES}. Make several pipelines of it"
        )
    nodes = sum(len(rollup.levels) + 1 for rollup in pipeline.rollups)
    refused = _smallest_refused(pipeline)
    if nodes > EVENT_NODES or refused is not None:
        reason = refused or f"its {nodes:,} nodes do not fit one transaction, which takes up to {EVENT_NODES:,}"
        raise DefinitionError(
            f"pipeline {pipeline.name}: DynamoDB could not hold a single event: {reason}. "
            "Make several pipelines of its rollups"
        )


def _smallest_refused(pipeline: Pipeline) -> str | None:
    """Why even the smallest event would be refused; None if it would not."""
    labels = tuple(leafset.pack([""]) if level.each else "" for level in pipeline.levels)
    smallest = Content(labels, (0,) * len(pipeline.columns))
    return refusal(pipeline, "", Stored(0, smallest))
