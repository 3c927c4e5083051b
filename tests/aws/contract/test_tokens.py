"""Tokens: the ClientRequestToken of a transaction."""

from uuid import uuid4

import pytest

from tests.aws.contract.engine import Engine, Request, add, code, delete, numbers, put, reasons, refusal, text_key

TEN_MINUTES = 600.0


@pytest.fixture
def token() -> str:
    return str(uuid4())


def _count(engine: Engine, name: str) -> str | None:
    return numbers(engine.get(engine.items, text_key(name)), ["count"])[0]


def test_the_same_again_has_no_second_effect(engine: Engine, name: str, token: str) -> None:
    """The same transaction with the same token succeeds again and changes nothing.

    AWS: Amazon DynamoDB Transactions: How it works (Developer Guide)
    """
    for _ in range(3):
        engine.transact({"Update": add(engine.items, text_key(name), count="1")}, ClientRequestToken=token)
    assert _count(engine, name) == "1"


def test_the_same_again_succeeds_though_its_conditions_fail_now(engine: Engine, name: str, token: str) -> None:
    """The same transaction with the same token succeeds again also where its conditions would fail by now.

    AWS: Amazon DynamoDB Transactions: How it works (Developer Guide)
    """
    engine.put(engine.outbox, text_key(name))
    present: Request = {"condition": "attribute_exists(#id)", "names": {"#id": "id"}}
    for _ in range(2):
        engine.transact(
            {"Delete": delete(engine.outbox, text_key(name), **present)},
            {"Update": add(engine.items, text_key(name), count="1")},
            ClientRequestToken=token,
        )
    assert _count(engine, name) == "1"


def test_another_token_is_another_transaction(engine: Engine, name: str) -> None:
    """The same transaction with another token happens again.

    AWS: Amazon DynamoDB Transactions: How it works (Developer Guide)
    """
    for _ in range(2):
        engine.transact({"Update": add(engine.items, text_key(name), count="1")}, ClientRequestToken=str(uuid4()))
    assert _count(engine, name) == "2"


def test_a_token_with_other_content_is_refused(engine: Engine, name: str, token: str) -> None:
    """Another transaction with a token that was used is refused with IdempotentParameterMismatchException, unchanged.

    AWS: Amazon DynamoDB Transactions: How it works (Developer Guide)
    """
    engine.transact({"Update": add(engine.items, text_key(name), count="1")}, ClientRequestToken=token)
    other = {"Update": add(engine.items, text_key(name), count="2")}
    refused = refusal(engine.transact, other, ClientRequestToken=token)
    assert code(refused) == "IdempotentParameterMismatchException"
    assert _count(engine, name) == "1"


def test_a_cancelled_transaction_does_not_use_up_its_token(engine: Engine, name: str, token: str) -> None:
    """A transaction that was cancelled may be tried again with its token, and then happens.

    AWS: Amazon DynamoDB Transactions: How it works (Developer Guide)
    """
    write = {"Put": put(engine.items, text_key(name), "attribute_not_exists(#id)", names={"#id": "id"})}
    engine.put(engine.items, {**text_key(name), "in the way": {"BOOL": True}})
    refused = refusal(engine.transact, write, ClientRequestToken=token)
    assert reasons(refused) == ["ConditionalCheckFailed"]
    engine.dynamodb.delete_item(TableName=engine.items, Key=text_key(name))
    engine.transact(write, ClientRequestToken=token)
    assert engine.get(engine.items, text_key(name)) == text_key(name)


def test_a_token_has_36_characters_at_most(engine: Engine, name: str) -> None:
    """A token of 36 characters is taken, one of 37 is refused as invalid.

    AWS: TransactWriteItems (API Reference)
    """
    write = {"Put": put(engine.items, text_key(name))}
    token = uuid4().hex + "abcd"
    engine.transact(write, ClientRequestToken=token)
    assert code(refusal(engine.transact, write, ClientRequestToken=token + "e")) == "ValidationException"


def test_a_token_is_forgotten_after_ten_minutes(engine: Engine, name: str, token: str) -> None:
    """The same transaction with the same token happens again ten minutes after it was done.

    AWS: Amazon DynamoDB Transactions: How it works (Developer Guide)
    """
    assert engine.pass_seconds is not None
    write = {"Update": add(engine.items, text_key(name), count="1")}
    for seconds in (TEN_MINUTES - 10, 20, 0):
        engine.transact(write, ClientRequestToken=token)
        engine.pass_seconds(seconds)
    assert _count(engine, name) == "2"
