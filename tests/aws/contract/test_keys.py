"""Keys and texts."""

import pytest

from tests.aws.contract.engine import Engine, Item, code, is_invalid, node_key, put, refusal, text_key


def _long(name: str, size: int, letter: str = "x") -> str:
    """A text of so many bytes in UTF-8 that begins with the name."""
    rest = size - len(name)
    wide = len(letter.encode())
    return name + letter * (rest // wide) + "x" * (rest % wide)


def _table_and_key(engine: Engine, part: str, text: str, name: str) -> tuple[str, Item]:
    if part == "partition key":
        return engine.items, text_key(text)
    return engine.nodes, node_key(name, text)


@pytest.mark.parametrize("part", ["partition key", "sort key"])
def test_an_empty_key_is_refused(engine: Engine, name: str, part: str) -> None:
    """An empty text as partition or sort key is refused as invalid, also in a transaction.

    AWS: Supported data types and naming rules in Amazon DynamoDB (Developer Guide)
    """
    table, key = _table_and_key(engine, part, "", name)
    assert code(refusal(engine.dynamodb.put_item, **put(table, key))) == "ValidationException"
    assert is_invalid(refusal(engine.transact, {"Put": put(table, key)}))


def test_empty_values_are_kept(engine: Engine, name: str) -> None:
    """Empty texts and bytes are kept as values of other attributes, also within lists.

    AWS: Supported data types and naming rules in Amazon DynamoDB (Developer Guide)
    """
    item = {**text_key(name), "text": {"S": ""}, "raw": {"B": b""}, "labels": {"L": [{"S": ""}, {"S": "a"}]}}
    engine.put(engine.items, item)
    assert engine.get(engine.items, text_key(name)) == item


def test_a_nul_is_a_key(engine: Engine, name: str) -> None:
    """A text of one NUL is a key, and another one than two of them.

    AWS: Supported data types and naming rules in Amazon DynamoDB (Developer Guide)
    """
    for text in ("\0", "\0\0"):
        engine.put(engine.nodes, {**node_key(name, text), "label_is": {"S": text}})
        engine.put(engine.items, {**text_key(text), "by": {"S": name}})
    for text in ("\0", "\0\0"):
        assert engine.get(engine.nodes, node_key(name, text)) == {**node_key(name, text), "label_is": {"S": text}}
        assert engine.get(engine.items, text_key(text)) == {**text_key(text), "by": {"S": name}}


@pytest.mark.parametrize("letter", ["x", "é", "\U0001f30d"])
@pytest.mark.parametrize(("part", "size"), [("partition key", 2048), ("sort key", 1024)])
def test_keys_may_be_so_long(engine: Engine, name: str, part: str, size: int, letter: str) -> None:
    """A partition key of 2,048 bytes in UTF-8 is taken, and a sort key of 1,024.

    AWS: Constraints in Amazon DynamoDB (Developer Guide)
    """
    table, key = _table_and_key(engine, part, _long(name, size, letter), name)
    engine.put(table, key)
    assert engine.get(table, key) == key


@pytest.mark.parametrize("letter", ["x", "é"])
@pytest.mark.parametrize(("part", "size"), [("partition key", 2049), ("sort key", 1025)])
def test_longer_keys_are_refused(engine: Engine, name: str, part: str, size: int, letter: str) -> None:
    """A partition key of 2,049 bytes in UTF-8 is refused as invalid, and a sort key of 1,025.

    AWS: Constraints in Amazon DynamoDB (Developer Guide)
    """
    table, key = _table_and_key(engine, part, _long(name, size, letter), name)
    assert code(refusal(engine.dynamodb.put_item, **put(table, key))) == "ValidationException"


def test_keys_that_look_alike_differ(engine: Engine, name: str) -> None:
    """Keys are equal only where their bytes are: case, accents written in one way or the other, spaces all count.

    AWS: Supported data types and naming rules in Amazon DynamoDB (Developer Guide)
    """
    texts = [f"{name}{end}" for end in ("e\u0301", "\u00e9", "E\u0301", "e\u0301 ", "\u00e9\0")]
    for text in texts:
        engine.put(engine.items, {**text_key(text), "text": {"S": text}})
    for text in texts:
        assert engine.get(engine.items, text_key(text)) == {**text_key(text), "text": {"S": text}}


def test_every_character_is_kept(engine: Engine, name: str) -> None:
    """Control characters, quotes and characters beyond 16 bits are kept, in keys and in values.

    AWS: Supported data types and naming rules in Amazon DynamoDB (Developer Guide)
    """
    text = "".join(map(chr, range(0x20))) + '"\\/\x7f\u0085\u2028\ufeff\ufffd\uffff\U00010000\U0001f9ed\U0010ffff'
    item = {**node_key(name + text, text), "text": {"S": text}}
    engine.put(engine.nodes, item)
    assert engine.get(engine.nodes, node_key(name + text, text)) == item
