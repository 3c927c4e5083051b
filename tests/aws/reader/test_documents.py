"""A stack's answers are the documents of a store of the same events, apart from what names a commit or a place."""

from collections.abc import Callable
from pathlib import Path

import pytest

from oncefold.aws.names import Names
from oncefold.aws.reader import StackReader
from oncefold.queries.protocol import Reader
from oncefold.queries.render.document import Document, content
from oncefold.queries.store_reader import StoreReader
from tests.aws.reader.records import random_records
from tests.aws.reader.stacks import fill
from tests.queries.stores import TWO_TREES, build, events, lines
from tests.tools.sizes import sized

OpenReader = Callable[..., StackReader]


def totals(reader: Reader) -> list[Document]:
    return [content(reader.query(rollup=rollup.name, depth=None)) for rollup in reader.shape.rollups]


def every_node(reader: Reader) -> list[Document]:
    documents = []
    for rollup in reader.shape.rollups:
        for node in reader.query(rollup=rollup.name, depth=None):
            document = content(reader.explain(node.path, rollup=rollup.name, limit=None))
            document["rows"].sort(key=lambda row: row["key"])  # a store has the order of arrival
            documents.append(document)
    return documents


def verification(reader: Reader) -> list[Document]:
    document = content(reader.verify())
    document.pop("nodes")  # a store counts the nodes that only some order of arrival passes through
    return [document]


@pytest.mark.parametrize("query", [totals, every_node, verification])
@pytest.mark.parametrize("pending", sized([5], [0, 5]))
def test_a_stack_answers_as_a_store_does(
    stack: Names, open_reader: OpenReader, tmp_path: Path, query: Callable[[Reader], list[Document]], pending: int
) -> None:
    data = lines(random_records(11, number=30))
    fill(stack, TWO_TREES, events(TWO_TREES, data), pending=pending)
    with StoreReader.open(build(tmp_path / "s.db", TWO_TREES, data)) as store:
        assert query(open_reader(exact=True)) == query(store)
