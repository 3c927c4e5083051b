"""What DynamoDB cannot hold is refused before anything is deployed, and what is not refused it can hold."""

import pytest

from oncefold.aws.functions.fits import MEASURES, check_fits
from oncefold.aws.functions.plan import DELTA_NODES, EVENT_NODES, Change, chunks
from oncefold.core.definition import Pipeline
from oncefold.core.errors import DefinitionError
from oncefold.core.event import Content
from oncefold.core.fold import Stored
from oncefold.dynamodb.items import TRANSACTION_ITEMS
from tests.aws.deploy.pipelines import ALL, tree

UPDATE_EXPRESSION_BYTES = 4_096


@pytest.mark.parametrize("pipeline", ALL, ids=lambda pipeline: pipeline.name[:8])
def test_usual_pipelines_fit(pipeline: Pipeline) -> None:
    check_fits(pipeline)


def test_an_event_that_moves_fits_one_transaction_at_the_limit() -> None:
    pipeline = tree(EVENT_NODES // 2, 1)
    check_fits(pipeline)
    before, after = (
        Stored(version, Content((label,) * len(pipeline.levels))) for version, label in enumerate(("a", "b"))
    )
    (chunk,) = chunks(pipeline, [Change("k", before, after)])
    assert len(chunk.changes) + len(chunk.deltas) <= TRANSACTION_ITEMS
    assert all(len(delta.nodes) <= DELTA_NODES for delta in chunk.deltas)


def test_more_nodes_than_a_transaction_takes_are_refused() -> None:
    with pytest.raises(DefinitionError, match=r"could not hold a single event: its 1,906 nodes .* takes up to 1,905"):
        check_fits(tree(EVENT_NODES // 2 + 1, 1))


def test_events_that_all_are_too_large_are_refused() -> None:
    with pytest.raises(DefinitionError, match=r"could not hold a single event: its 700 nodes take .* bytes"):
        check_fits(tree(100, 6, measures=100))


def test_more_measures_than_an_update_takes_are_refused() -> None:
    check_fits(tree(1, 1, measures=MEASURES))
    with pytest.raises(DefinitionError, match=r"pipeline tree: it has 201 measures; .* up to 200\. Make several"):
        check_fits(tree(1, 1, measures=MEASURES + 1))


def test_an_update_of_the_most_measures_fits_the_expression() -> None:
    clauses = ", ".join(["#count :count", *(f"#{index} :{index}" for index in range(MEASURES))])
    assert len(f"ADD {clauses}") <= UPDATE_EXPRESSION_BYTES
