"""Batches: BatchGetItem and BatchWriteItem."""

from typing import Any

from tests.aws.contract.engine import Engine, Item, code, node_key, refusal, text_key

_PUTS = 25


def _read(engine: Engine, table: str, keys: list[Item]) -> dict[str, Any]:
    answer: dict[str, Any] = engine.dynamodb.batch_get_item(
        RequestItems={table: {"Keys": keys, "ConsistentRead": True}}
    )
    return answer


def _write(engine: Engine, table: str, items: list[Item]) -> None:
    """Put items, in as many calls as the engine wants."""
    wanted: dict[str, Any] = {table: [{"PutRequest": {"Item": item}} for item in items]}
    while wanted:
        wanted = engine.dynamodb.batch_write_item(RequestItems=wanted)["UnprocessedItems"]


def test_a_hundred_keys_are_read_as_they_are_now(engine: Engine, name: str) -> None:
    """A consistent BatchGetItem of 100 keys gives every item that exists as it is now, in whatever order.

    AWS: BatchGetItem (API Reference)
    """
    keys = [text_key(f"{name}-{index}") for index in range(100)]
    for version in ("1", "2"):
        items = [{**key, "version": {"N": version}} for key in keys[::2]]
        for start in range(0, len(items), _PUTS):
            _write(engine, engine.items, items[start : start + _PUTS])
        found: list[Item] = []
        answer = _read(engine, engine.items, keys)
        found += answer["Responses"][engine.items]
        assert not answer["UnprocessedKeys"]
        assert sorted(found, key=lambda item: item["id"]["S"]) == sorted(items, key=lambda item: item["id"]["S"])


def test_keys_without_an_item_are_absent(engine: Engine, name: str) -> None:
    """A key without an item is neither in the answer nor among the unprocessed.

    AWS: BatchGetItem (API Reference)
    """
    answer = _read(engine, engine.items, [text_key(name)])
    assert answer["Responses"].get(engine.items, []) == []
    assert answer["UnprocessedKeys"] == {}


def test_more_than_a_hundred_keys_are_refused(engine: Engine, name: str) -> None:
    """A BatchGetItem of 101 keys is refused as invalid.

    AWS: BatchGetItem (API Reference)
    """
    keys = [text_key(f"{name}-{index}") for index in range(101)]
    assert code(refusal(_read, engine, engine.items, keys)) == "ValidationException"


def test_a_key_twice_is_refused(engine: Engine, name: str) -> None:
    """A BatchGetItem that names a key twice is refused as invalid.

    AWS: BatchGetItem (API Reference)
    """
    assert code(refusal(_read, engine, engine.items, [text_key(name), text_key(name)])) == "ValidationException"


def test_what_is_too_much_is_left_for_the_next_call(engine: Engine, name: str) -> None:
    """Beyond 16 MB, `UnprocessedKeys` is a request for the rest, with its ConsistentRead; so every item is got once.

    AWS: BatchGetItem (API Reference)
    """
    keys = [node_key(f"{name}-{index}", "a") for index in range(44)]
    for start in range(0, len(keys), 11):
        _write(engine, engine.large, [{**key, "raw": {"S": "x" * 399_000}} for key in keys[start : start + 11]])
    wanted: dict[str, Any] = {engine.large: {"Keys": keys, "ConsistentRead": True}}
    found: list[str] = []
    calls = 0
    while wanted:
        assert wanted[engine.large]["ConsistentRead"] is True
        answer = engine.dynamodb.batch_get_item(RequestItems=wanted)
        found += [item["path"]["S"] for item in answer["Responses"].get(engine.large, [])]
        wanted = answer["UnprocessedKeys"]
        calls += 1
    assert calls > 1
    assert sorted(found) == sorted(key["path"]["S"] for key in keys)


def test_a_batch_of_puts_replaces_what_stands(engine: Engine, name: str) -> None:
    """A BatchWriteItem of 25 puts is written; put again, each item replaces itself.

    AWS: BatchWriteItem (API Reference)
    """
    items = [{**text_key(f"{name}-{index}"), "raw": {"B": b"\x00\xff"}} for index in range(_PUTS)]
    _write(engine, engine.items, items)
    _write(engine, engine.items, items)
    found = _read(engine, engine.items, [text_key(f"{name}-{index}") for index in range(_PUTS)])["Responses"]
    assert len(found[engine.items]) == _PUTS
    assert all(item in items for item in found[engine.items])


def test_more_than_25_puts_are_refused(engine: Engine, name: str) -> None:
    """A BatchWriteItem of 26 puts is refused as invalid.

    AWS: BatchWriteItem (API Reference)
    """
    items = [text_key(f"{name}-{index}") for index in range(_PUTS + 1)]
    assert code(refusal(_write, engine, engine.items, items)) == "ValidationException"
