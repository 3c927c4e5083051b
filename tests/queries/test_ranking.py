"""Children by a value, and those with a text in their label: exact, ties by label, none lost, of any number of them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import oncefold
from oncefold.core.definition_toml import parse_toml
from oncefold.core.errors import InvalidQueryError
from oncefold.queries.store_reader import StoreReader
from tests.tools.sizes import examples

PIPELINE = parse_toml("""
name = "ranked"
[event]
key = "id"
[rollups]
tree = ["group"]
[measures]
value = { sum = "value", scale = 2 }
mean = { avg = "rating", scale = 1 }
""")


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> StoreReader:
    path = tmp_path_factory.mktemp("ranked") / "store.db"
    events = [
        {
            "id": str(number),
            "group": f"g{number % 400:03}",
            "value": number * 7919 % 1_000,
            "rating": number % 7 or None,
        }
        for number in range(2_000)
    ]
    with oncefold.open(path, PIPELINE) as session:
        session.ingest(events)
    return StoreReader.open(path)


@settings(max_examples=examples(400))
@given(
    st.sampled_from([None, "label", "count", "value", "mean"]),
    st.sampled_from([None, True, False]),
    st.sampled_from(["", "G1", "9", "nowhere"]),
    st.none() | st.integers(0, 500),
)
def test_it_is_what_sorting_all_of_them_gives(
    reader: StoreReader, sort: str | None, ascending: bool | None, matching: str, limit: int | None
) -> None:
    everything = [row for row in reader.query().rows[1:] if matching.lower() in row.label.lower()]

    def value(row: oncefold.NodeTotal) -> object:
        return row.label if sort in {None, "label"} else row.count if sort == "count" else row.sums[sort or ""]

    is_ascending = (sort in {None, "label"}) if ascending is None else ascending
    valued = sorted((row for row in everything if value(row) is not None), key=value, reverse=not is_ascending)  # type: ignore[arg-type]
    expected = [*valued, *(row for row in everything if value(row) is None)]
    found = reader.query(sort=sort, ascending=ascending, matching=matching, limit=limit)
    assert list(found.rows[1:]) == (expected if limit is None else expected[:limit])
    assert found.node == reader.query(depth=0).node
    assert found.more == (limit is not None and limit < len(expected))


def test_what_cannot_be_ranked_is_refused(reader: StoreReader) -> None:
    with pytest.raises(InvalidQueryError, match="there is: label, count, value, mean"):
        reader.query(sort="amount")
    with pytest.raises(InvalidQueryError, match="with them depth is 1"):
        reader.query(sort="value", depth=None)
    with pytest.raises(InvalidQueryError, match="give a greater limit"):
        reader.query(matching="g", after="g1")
