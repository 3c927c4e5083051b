"""Numbers: ADD, their digits and their form."""

import pytest

from tests.aws.contract.engine import (
    Engine,
    Item,
    add,
    code,
    delete,
    is_invalid,
    numbers,
    put,
    reasons,
    refusal,
    text_key,
)

_NINES = "9" * 38


def _sum(engine: Engine, name: str, *amounts: str) -> str | None:
    for amount in amounts:
        engine.dynamodb.update_item(**add(engine.items, text_key(name), total=amount))
    return numbers(engine.get(engine.items, text_key(name)), ["total"])[0]


def test_add_creates_the_item_and_the_attribute(engine: Engine, name: str) -> None:
    """ADD to an item or attribute that does not exist begins at zero.

    AWS: UpdateItem (API Reference)
    """
    engine.dynamodb.update_item(**add(engine.items, text_key(name), a="1.5"))
    engine.dynamodb.update_item(**add(engine.items, text_key(name), b="-2"))
    expected = {**text_key(name), "a": {"N": "1.5"}, "b": {"N": "-2"}}
    assert engine.get(engine.items, text_key(name)) == expected


@pytest.mark.parametrize(
    ("amounts", "total"),
    [
        (("12345678901234567890123456789012345.678", "0.001"), "12345678901234567890123456789012345.679"),
        (("9" * 37 + "8", "1"), _NINES),
        (("-" + _NINES, "1"), "-" + "9" * 37 + "8"),
        (("0." + "0" * 37 + "1", "0." + "9" * 37), "0." + "9" * 37 + "1"),
        (("99999999999999999999.99", "0.01"), "100000000000000000000"),
        (("0.1", "0.2"), "0.3"),
    ],
)
def test_add_is_exact_to_38_digits(engine: Engine, name: str, amounts: tuple[str, ...], total: str) -> None:
    """ADD is exact for sums of up to 38 significant digits.

    AWS: Supported data types and naming rules in Amazon DynamoDB (Developer Guide)
    """
    assert _sum(engine, name, *amounts) == total


def test_an_addition_may_have_a_condition_on_the_sum_before_it(engine: Engine, name: str) -> None:
    """An ADD on `attribute_not_exists(a) OR a BETWEEN low AND high` in a transaction creates, adds, and fails beyond.

    AWS: Condition and filter expressions, operators, and functions in DynamoDB (Developer Guide)
    """
    update = add(engine.items, text_key(name), a=_NINES)
    values = {**update["ExpressionAttributeValues"], ":low": {"N": "-" + _NINES}, ":high": {"N": "0"}}
    condition = "attribute_not_exists(#0) OR #0 BETWEEN :low AND :high"
    write = {"Update": {**update, "ConditionExpression": condition, "ExpressionAttributeValues": values}}
    engine.transact(write)
    assert reasons(refusal(engine.transact, write)) == ["ConditionalCheckFailed"]
    engine.dynamodb.update_item(**add(engine.items, text_key(name), a="-" + _NINES))
    engine.transact(write)
    assert numbers(engine.get(engine.items, text_key(name)), ["a"]) == [_NINES]


def test_add_goes_through_zero(engine: Engine, name: str) -> None:
    """ADD takes negative numbers, and a sum may be zero or below.

    AWS: UpdateItem (API Reference)
    """
    assert _sum(engine, name, "10.50", "-10.5") == "0"
    assert _sum(engine, name, "-0.01") == "-0.01"


@pytest.mark.parametrize("amount", ["0.1", "1" + "0" * 38])
def test_a_sum_of_more_than_38_digits_is_refused(engine: Engine, name: str, amount: str) -> None:
    """An ADD whose sum has more than 38 significant digits is refused as invalid; nothing is rounded.

    AWS: Supported data types and naming rules in Amazon DynamoDB (Developer Guide)
    """
    _sum(engine, name, _NINES)
    refused = refusal(engine.dynamodb.update_item, **add(engine.items, text_key(name), total=amount))
    assert code(refused) == "ValidationException"
    assert _sum(engine, name) == _NINES


def test_a_sum_of_more_than_38_digits_cancels_a_transaction(engine: Engine, name: str) -> None:
    """A transaction with such an ADD is refused as invalid, and nothing of it happens.

    AWS: TransactWriteItems (API Reference)
    """
    _sum(engine, name, _NINES)
    engine.put(engine.outbox, text_key(name))
    refused = refusal(
        engine.transact,
        {"Delete": delete(engine.outbox, text_key(name))},
        {"Update": add(engine.items, text_key(name), total="0.1")},
    )
    assert is_invalid(refused)
    assert _sum(engine, name) == _NINES
    assert engine.get(engine.outbox, text_key(name)) is not None


def test_a_number_of_more_than_38_digits_is_refused(engine: Engine, name: str) -> None:
    """A put with a number of 39 significant digits is refused as invalid.

    AWS: Supported data types and naming rules in Amazon DynamoDB (Developer Guide)
    """
    item = {**text_key(name), "total": {"N": _NINES + ".5"}}
    assert code(refusal(engine.dynamodb.put_item, **put(engine.items, item))) == "ValidationException"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("10.50", "10.5"),
        ("100", "100"),
        ("007", "7"),
        ("0.00", "0"),
        ("-0", "0"),
        ("1E2", "100"),
        ("1e-3", "0.001"),
        ("-12.340", "-12.34"),
        ("10000000000000000000000", "10000000000000000000000"),
        ("1" + "0" * 37, "1" + "0" * 37),
    ],
)
def test_numbers_come_back_in_their_shortest_plain_form(engine: Engine, name: str, written: str, read: str) -> None:
    """A number comes back as the shortest plain decimal, whatever form it was written in.

    AWS: Supported data types and naming rules in Amazon DynamoDB (Developer Guide)
    """
    engine.put(engine.items, {**text_key(name), "total": {"N": written}})
    assert numbers(engine.get(engine.items, text_key(name)), ["total"]) == [read]


def test_sums_come_back_in_their_shortest_plain_form(engine: Engine, name: str) -> None:
    """A sum comes back as the shortest plain decimal too.

    AWS: Supported data types and naming rules in Amazon DynamoDB (Developer Guide)
    """
    assert _sum(engine, f"{name}-a", "10.25", "0.25") == "10.5"
    assert _sum(engine, f"{name}-b", "99.5", "0.5") == "100"
    assert _sum(engine, f"{name}-c", "5E+20", "5E+20") == "1000000000000000000000"


def test_sums_of_transactions_come_back_in_their_shortest_plain_form(engine: Engine, name: str) -> None:
    """A sum that a transaction has added comes back as the shortest plain decimal too.

    AWS: Supported data types and naming rules in Amazon DynamoDB (Developer Guide)
    """
    for amount in ("10.25", "0.25"):
        engine.transact({"Update": add(engine.items, text_key(name), total=amount)})
    assert _sum(engine, name) == "10.5"


def test_numbers_in_lists_come_back_in_their_shortest_plain_form(engine: Engine, name: str) -> None:
    """Numbers within lists have that form as well.

    AWS: Supported data types and naming rules in Amazon DynamoDB (Developer Guide)
    """
    engine.put(engine.items, {**text_key(name), "measures": {"L": [{"N": "1.50"}, {"N": "2E1"}]}})
    item = engine.get(engine.items, text_key(name))
    assert item is not None
    assert item["measures"] == {"L": [{"N": "1.5"}, {"N": "20"}]}


def test_numbers_are_compared_by_value(engine: Engine, name: str) -> None:
    """In conditions 10.50 equals 10.5 and 1.05E1, and 9 is less than 10.

    AWS: Supported data types and naming rules in Amazon DynamoDB (Developer Guide)
    """
    engine.put(engine.items, {**text_key(name), "version": {"N": "10.50"}})
    item: Item = {**text_key(name), "version": {"N": "10.5"}}
    for condition, value in (("#v = :v", "10.5"), ("#v = :v", "1.05E1"), ("#v > :v", "9")):
        engine.dynamodb.put_item(
            **put(engine.items, item, condition, names={"#v": "version"}, values={":v": {"N": value}})
        )


def test_several_attributes_are_added_at_once(engine: Engine, name: str) -> None:
    """One update may add to several attributes, named and valued by placeholders, some of them new.

    AWS: UpdateItem (API Reference)
    """
    engine.put(engine.items, {**text_key(name), "count": {"N": "1"}})
    engine.dynamodb.update_item(**add(engine.items, text_key(name), count="2", value="0.5", size="-3"))
    item = engine.get(engine.items, text_key(name))
    assert numbers(item, ["count", "value", "size"]) == ["3", "0.5", "-3"]
