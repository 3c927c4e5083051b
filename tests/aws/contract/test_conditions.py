"""Conditions of single writes."""

from tests.aws.contract.engine import Engine, Request, code, delete, put, refusal, text_key

_ABSENT: Request = {"condition": "attribute_not_exists(#id)", "names": {"#id": "id"}}
_PRESENT: Request = {"condition": "attribute_exists(#id)", "names": {"#id": "id"}}
_FAILED = "ConditionalCheckFailedException"


def test_a_put_of_what_must_be_absent_succeeds_once(engine: Engine, name: str) -> None:
    """PutItem on `attribute_not_exists` of the key succeeds for the first, and fails for the second without an effect.

    AWS: PutItem (API Reference)
    """
    engine.dynamodb.put_item(**put(engine.items, {**text_key(name), "by": {"S": "first"}}, **_ABSENT))
    second = put(engine.items, {**text_key(name), "by": {"S": "second"}}, **_ABSENT)
    assert code(refusal(engine.dynamodb.put_item, **second)) == _FAILED
    assert engine.get(engine.items, text_key(name)) == {**text_key(name), "by": {"S": "first"}}


def test_a_delete_of_what_must_exist_succeeds_once(engine: Engine, name: str) -> None:
    """DeleteItem on `attribute_exists` of the key succeeds once, and fails the second time.

    AWS: DeleteItem (API Reference)
    """
    engine.put(engine.items, text_key(name))
    request = delete(engine.items, text_key(name), **_PRESENT)
    engine.dynamodb.delete_item(**request)
    assert code(refusal(engine.dynamodb.delete_item, **request)) == _FAILED


def test_two_equalities_hold_only_together(engine: Engine, name: str) -> None:
    """A condition of two scalar equalities joined by `AND` holds only where both do.

    AWS: Condition and filter expressions, operators, and functions in DynamoDB (Developer Guide)
    """
    engine.put(engine.items, {**text_key(name), "version": {"N": "3"}, "content": {"S": "a"}})
    outcomes = []
    for version, content in (("2", "a"), ("3", "b"), ("3", "a")):
        request = put(
            engine.items,
            {**text_key(name), "version": {"N": "4"}, "content": {"S": "c"}},
            "#version = :version AND #content = :content",
            names={"#version": "version", "#content": "content"},
            values={":version": {"N": version}, ":content": {"S": content}},
        )
        if (version, content) == ("3", "a"):
            engine.dynamodb.put_item(**request)
        else:
            outcomes.append(code(refusal(engine.dynamodb.put_item, **request)))
    assert outcomes == [_FAILED, _FAILED]
    item = engine.get(engine.items, text_key(name))
    assert item is not None
    assert item["version"] == {"N": "4"}


def test_an_equality_fails_where_there_is_no_item(engine: Engine, name: str) -> None:
    """An equality with an attribute of an item that does not exist is false.

    AWS: Condition and filter expressions, operators, and functions in DynamoDB (Developer Guide)
    """
    request = put(engine.items, text_key(name), "#v = :v", names={"#v": "version"}, values={":v": {"N": "0"}})
    assert code(refusal(engine.dynamodb.put_item, **request)) == _FAILED
    assert engine.get(engine.items, text_key(name)) is None


def test_a_number_never_equals_a_text(engine: Engine, name: str) -> None:
    """Values of different types are not equal, however alike they look.

    AWS: Condition and filter expressions, operators, and functions in DynamoDB (Developer Guide)
    """
    engine.put(engine.items, {**text_key(name), "version": {"N": "1"}})
    request = put(engine.items, text_key(name), "#v = :v", names={"#v": "version"}, values={":v": {"S": "1"}})
    assert code(refusal(engine.dynamodb.put_item, **request)) == _FAILED


def test_lists_are_compared_by_their_elements(engine: Engine, name: str) -> None:
    """An equality of lists holds only where all elements are equal. (Not relied on: conditions compare scalars.)

    AWS: Condition and filter expressions, operators, and functions in DynamoDB (Developer Guide)
    """
    engine.put(engine.items, {**text_key(name), "labels": {"L": [{"S": "a"}]}})
    request = put(engine.items, text_key(name), "#l = :l", names={"#l": "labels"}, values={":l": {"L": [{"S": "b"}]}})
    assert code(refusal(engine.dynamodb.put_item, **request)) == _FAILED


def test_a_failed_condition_shows_the_item_on_demand(engine: Engine, name: str) -> None:
    """A failed condition answers with the stored item if `ReturnValuesOnConditionCheckFailure` is `ALL_OLD`.

    AWS: PutItem (API Reference)
    """
    item = {**text_key(name), "version": {"N": "7"}, "labels": {"L": [{"S": "a"}]}}
    engine.put(engine.items, item)
    assert refusal(engine.dynamodb.put_item, **put(engine.items, text_key(name), **_ABSENT, old=True))["Item"] == item


def test_a_failed_condition_shows_nothing_unasked(engine: Engine, name: str) -> None:
    """A failed condition answers without the item if that was not asked for.

    AWS: PutItem (API Reference)
    """
    engine.put(engine.items, text_key(name))
    assert "Item" not in refusal(engine.dynamodb.put_item, **put(engine.items, text_key(name), **_ABSENT))


def test_a_put_replaces_the_whole_item(engine: Engine, name: str) -> None:
    """A put leaves no attribute of the item that stood before.

    AWS: PutItem (API Reference)
    """
    engine.put(engine.items, {**text_key(name), "version": {"N": "1"}, "labels": {"L": [{"S": "a"}]}})
    engine.put(engine.items, {**text_key(name), "version": {"N": "2"}})
    assert engine.get(engine.items, text_key(name)) == {**text_key(name), "version": {"N": "2"}}


def test_a_reserved_word_needs_a_placeholder(engine: Engine, name: str) -> None:
    """An expression with a reserved word as a name is refused, and taken with a placeholder in its place.

    AWS: Reserved words in DynamoDB (Developer Guide)
    """
    values = {":count": {"N": "1"}}
    plain = put(engine.items, {**text_key(name), "count": {"N": "1"}}, "attribute_not_exists(count)")
    assert code(refusal(engine.dynamodb.put_item, **plain)) == "ValidationException"
    update = {"TableName": engine.items, "Key": text_key(name), "ExpressionAttributeValues": values}
    refused = refusal(engine.dynamodb.update_item, **update, UpdateExpression="ADD count :count")
    assert code(refused) == "ValidationException"
    names = {"#count": "count"}
    engine.dynamodb.update_item(**update, UpdateExpression="ADD #count :count", ExpressionAttributeNames=names)
    assert engine.get(engine.items, text_key(name)) == {**text_key(name), "count": {"N": "1"}}


def test_a_set_of_strings_comes_back_as_it_was(engine: Engine, name: str) -> None:
    """A string set keeps its members, in whatever order.

    AWS: Supported data types and naming rules in Amazon DynamoDB (Developer Guide)
    """
    engine.put(engine.items, {**text_key(name), "fingerprints": {"SS": ["b", "a", "c"]}})
    item = engine.get(engine.items, text_key(name))
    assert item is not None
    assert sorted(item["fingerprints"]["SS"]) == ["a", "b", "c"]


def _newer(engine: Engine, name: str, version: str) -> Request:
    """Put a version in the place of a lower one, and ask for what it replaces or what is in its way."""
    return {
        "TableName": engine.items,
        "Key": text_key(name),
        "UpdateExpression": "SET #version = :version REMOVE #labels",
        "ConditionExpression": "attribute_not_exists(#version) OR #version < :version",
        "ExpressionAttributeNames": {"#version": "version", "#labels": "labels"},
        "ExpressionAttributeValues": {":version": {"N": version}},
        "ReturnValues": "ALL_OLD",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def test_an_update_gives_what_it_replaced(engine: Engine, name: str) -> None:
    """With `ReturnValues` ALL_OLD an update answers with the whole item before it, and with none where there was none.

    AWS: UpdateItem (API Reference)
    """
    assert not engine.dynamodb.update_item(**_newer(engine, name, "3")).get("Attributes")
    engine.put(engine.items, {**text_key(name), "version": {"N": "3"}, "labels": {"L": [{"S": ""}]}})
    replaced = engine.dynamodb.update_item(**_newer(engine, name, "10"))["Attributes"]
    assert replaced == {**text_key(name), "version": {"N": "3"}, "labels": {"L": [{"S": ""}]}}
    assert engine.get(engine.items, text_key(name)) == {**text_key(name), "version": {"N": "10"}}


def test_a_refused_update_gives_what_was_in_its_way(engine: Engine, name: str) -> None:
    """With `ReturnValuesOnConditionCheckFailure` the error of a single update has the whole item that refused it.

    AWS: UpdateItem (API Reference)
    """
    item = {**text_key(name), "version": {"N": "9"}, "labels": {"L": [{"S": "a"}]}}
    engine.put(engine.items, item)
    for version in ("9", "8"):
        refused = refusal(engine.dynamodb.update_item, **_newer(engine, name, version))
        assert code(refused) == _FAILED
        assert refused["Item"] == item
    assert engine.get(engine.items, text_key(name)) == item


def test_a_value_is_set_where_there_is_none(engine: Engine, name: str) -> None:
    """`if_not_exists` keeps the attribute that is there, and sets the one that is not.

    AWS: Update expressions (Developer Guide)
    """
    request = {
        "TableName": engine.items,
        "Key": text_key(name),
        "UpdateExpression": "SET #epoch = if_not_exists(#epoch, :epoch)",
        "ExpressionAttributeNames": {"#epoch": "epoch"},
    }
    for epoch in ("5", "7"):
        engine.dynamodb.update_item(**request, ExpressionAttributeValues={":epoch": {"N": epoch}})
        assert engine.get(engine.items, text_key(name)) == {**text_key(name), "epoch": {"N": "5"}}
