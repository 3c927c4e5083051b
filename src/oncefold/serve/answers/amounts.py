"""What sums are called in documents of nodes: the measure's name, after `sum_` where another member has that."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from oncefold.core.definition import Pipeline
from oncefold.queries.columns import amount_columns

_TAKEN = ("commit", "commit_time", "time", "rollup", "path", "depth", "label", "count", "children", "key", "live")
"""The fixed members of all these documents, so that a measure has one name in all of them."""


def member_names(pipeline: Pipeline) -> dict[str, str]:
    """The member of each measure."""
    scales = {measure.name: measure.scale for measure in pipeline.measures}
    columns: Sequence[Mapping[str, Decimal]] = []
    return dict(zip(scales, [column.name for column in amount_columns(_TAKEN, scales, columns)], strict=True))


def member_scales(pipeline: Pipeline) -> dict[str, int]:
    """The decimal places of each member."""
    names = member_names(pipeline)
    return {names[measure.name]: measure.scale for measure in pipeline.measures}


def plain(names: Mapping[str, str], sums: Mapping[str, Decimal]) -> dict[str, str]:
    """The sums as members, exact texts."""
    return {names[measure]: f"{value:f}" for measure, value in sums.items()}
