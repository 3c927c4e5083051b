"""Consumed capacity: what `oncefold aws cost` and the functions' reports add up."""

from tests.aws.contract.engine import Engine, Item, add, delete, node_key, put, text_key

_KB = 1024


def _sized(name: str, kb: float) -> Item:
    """An item a little smaller than so many KB."""
    return {**text_key(name), "raw": {"S": "x" * (int(kb * _KB) - len(name) - 50)}}


def test_a_transactional_put_costs_two_units_a_kb(engine: Engine, name: str) -> None:
    """A put within a transaction consumes two write units for each KB begun.

    AWS: Amazon DynamoDB Transactions: How it works (Developer Guide)
    """
    units = []
    for kb in (0.2, 1, 1.5, 3):
        answer = engine.transact({"Put": put(engine.items, _sized(name, kb))}, ReturnConsumedCapacity="TOTAL")
        (part,) = answer["ConsumedCapacity"]
        units.append(part["CapacityUnits"])
    assert units == [2.0, 2.0, 4.0, 6.0]


def test_a_transaction_tells_the_units_of_each_table(engine: Engine, name: str) -> None:
    """A transaction over several tables returns each table's units; small puts, updates and deletes are two units each.

    AWS: TransactWriteItems (API Reference)
    """
    engine.put(engine.outbox, text_key(name))
    answer = engine.transact(
        {"Delete": delete(engine.outbox, text_key(name))},
        {"Update": add(engine.nodes, node_key(name, "a"), count="1")},
        {"Update": add(engine.nodes, node_key(name, "b"), count="1")},
        ReturnConsumedCapacity="TOTAL",
    )
    units = {part["TableName"]: part["CapacityUnits"] for part in answer["ConsumedCapacity"]}
    assert units == {engine.outbox: 2.0, engine.nodes: 4.0}


def test_indexes_adds_what_the_table_itself_took(engine: Engine, name: str) -> None:
    """`INDEXES` returns the units of the table itself beside the sum.

    AWS: TransactWriteItems (API Reference)
    """
    answer = engine.transact({"Put": put(engine.items, text_key(name))}, ReturnConsumedCapacity="INDEXES")
    (part,) = answer["ConsumedCapacity"]
    assert part["CapacityUnits"] == 2.0
    assert part.get("Table", {}).get("CapacityUnits") == 2.0


def test_nothing_is_told_unasked(engine: Engine, name: str) -> None:
    """Without ReturnConsumedCapacity no capacity is returned.

    AWS: TransactWriteItems (API Reference)
    """
    assert not engine.transact({"Put": put(engine.items, text_key(name))}).get("ConsumedCapacity")


def test_a_plain_put_costs_one_unit_a_kb(engine: Engine, name: str) -> None:
    """A put by itself consumes one write unit for each KB begun.

    AWS: DynamoDB read and write operations (Developer Guide)
    """
    units = []
    for kb in (0.2, 1.5):
        answer = engine.dynamodb.put_item(TableName=engine.items, Item=_sized(name, kb), ReturnConsumedCapacity="TOTAL")
        units.append(answer["ConsumedCapacity"]["CapacityUnits"])
    # The second put replaces the first; the larger of both is charged.
    assert units == [1.0, 2.0]


def test_a_batch_of_puts_tells_its_units(engine: Engine, name: str) -> None:
    """BatchWriteItem consumes one write unit for each KB begun of each item, and returns the sum by table.

    AWS: BatchWriteItem (API Reference)
    """
    items = [_sized(f"{name}-{index}", 1.5) for index in range(3)]
    answer = engine.dynamodb.batch_write_item(
        RequestItems={engine.items: [{"PutRequest": {"Item": item}} for item in items]}, ReturnConsumedCapacity="TOTAL"
    )
    assert [(part["TableName"], part["CapacityUnits"]) for part in answer["ConsumedCapacity"]] == [(engine.items, 6.0)]


def test_a_consistent_read_costs_a_unit_for_4_kb(engine: Engine, name: str) -> None:
    """A consistent BatchGetItem consumes a read unit for each 4 KB begun of each item, and one for a key without item.

    AWS: DynamoDB read and write operations (Developer Guide)
    """
    engine.put(engine.items, _sized(f"{name}-small", 1))
    engine.put(engine.items, _sized(f"{name}-large", 6))
    keys = [text_key(f"{name}-{end}") for end in ("small", "large", "missing")]
    answer = engine.dynamodb.batch_get_item(
        RequestItems={engine.items: {"Keys": keys, "ConsistentRead": True}}, ReturnConsumedCapacity="TOTAL"
    )
    assert [part["CapacityUnits"] for part in answer.get("ConsumedCapacity", [])] == [4.0]


def test_a_query_costs_by_what_it_reads_together(engine: Engine, name: str) -> None:
    """A consistent Query consumes a read unit for each 4 KB begun of all its items together.

    AWS: DynamoDB read and write operations (Developer Guide)
    """
    for index in range(5):
        engine.put(engine.nodes, {**node_key(name, str(index)), "raw": {"S": "x" * 900}})
    answer = engine.dynamodb.query(
        TableName=engine.nodes,
        KeyConditionExpression="#path = :path",
        ExpressionAttributeNames={"#path": "path"},
        ExpressionAttributeValues={":path": {"S": name}},
        ConsistentRead=True,
        ReturnConsumedCapacity="TOTAL",
    )
    assert answer["ConsumedCapacity"]["CapacityUnits"] == 2.0
