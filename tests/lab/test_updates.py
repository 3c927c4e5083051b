"""Updates against a plain evaluator, at the edges of lists and maps, and what is refused."""

from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from oncefold_lab.simulator.dynamodb import DynamoDB
from tests.lab.tools import code, get, put, simulated
from tests.tools.sizes import examples

KEY = {"id": {"S": "k"}}


def update(dynamodb: DynamoDB, text: str, values: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    if values:
        more["ExpressionAttributeValues"] = values
    return dynamodb.update_item(TableName="items", Key=KEY, UpdateExpression=text, **more)


def numbers(item: dict[str, Any] | None) -> dict[str, int]:
    return {name: int(value["N"]) for name, value in (item or {}).items() if name != "id"}


ACTIONS = st.sampled_from(["set", "copy", "plus", "minus", "default", "add", "remove"])


@settings(max_examples=examples(200), deadline=None)
@given(
    st.none() | st.dictionaries(st.sampled_from("abcd"), st.integers(-5, 5)),
    st.dictionaries(
        st.sampled_from("abcd"), st.tuples(ACTIONS, st.sampled_from("abcd"), st.integers(-5, 5)), min_size=1
    ),
)
def test_every_value_is_read_before_any_is_written(
    before: dict[str, int] | None, actions: dict[str, tuple[str, str, int]]
) -> None:
    dynamodb = simulated()
    if before is not None:
        put(dynamodb, "k", **before)
    old = before or {}
    expected, sets, adds, removes, values = dict(old), [], [], [], {}
    missing = False
    for name, (action, other, amount) in actions.items():
        if action in {"set", "plus", "minus", "default", "add"}:
            values[f":{name}"] = {"N": str(amount)}
        if action == "set":
            sets.append(f"{name} = :{name}")
            expected[name] = amount
        elif action in {"copy", "plus", "minus"}:
            sign = {"copy": "", "plus": f" + :{name}", "minus": f" - :{name}"}[action]
            sets.append(f"{name} = {other}{sign}")
            missing = missing or other not in old
            expected[name] = old.get(other, 0) + {"copy": 0, "plus": amount, "minus": -amount}[action]
        elif action == "default":
            sets.append(f"{name} = if_not_exists({other}, :{name})")
            expected[name] = old.get(other, amount)
        elif action == "add":
            adds.append(f"{name} :{name}")
            expected[name] = old.get(name, 0) + amount
        else:
            removes.append(name)
            expected.pop(name, None)
    clauses = {"REMOVE": removes, "set": sets, "Add": adds}
    text = " ".join(f"{word} {', '.join(parts)}" for word, parts in clauses.items() if parts)
    if missing:
        with pytest.raises(ClientError, match="does not exist in the item"):
            update(dynamodb, text, values)
        expected = old
    else:
        update(dynamodb, text, values)
    item = get(dynamodb, "k")
    assert numbers(item) == expected
    only_removes = before is None and not sets and not adds
    assert (item is None) is (before is None and (missing or only_removes))


def list_of(*texts: str) -> dict[str, Any]:
    return {"L": [{"S": text} for text in texts]}


@pytest.mark.parametrize(
    ("text", "values", "after"),
    [
        ("SET l[1] = :a", {":a": {"S": "x"}}, list_of("0", "x", "2", "3")),
        ("SET l[9] = :a, l[7] = :b", {":a": {"S": "9"}, ":b": {"S": "7"}}, list_of("0", "1", "2", "3", "7", "9")),
        ("REMOVE l[0], l[2], l[8]", {}, list_of("1", "3")),
        ("REMOVE l[1] SET l[3] = :a", {":a": {"S": "x"}}, list_of("0", "2", "x")),
        ("SET l[5] = :a REMOVE l[0]", {":a": {"S": "x"}}, list_of("1", "2", "3", "x")),
        ("SET l = list_append(l, :a)", {":a": list_of("x")}, list_of("0", "1", "2", "3", "x")),
        ("SET l = list_append(:a, if_not_exists(l, :a))", {":a": list_of("x")}, list_of("x", "0", "1", "2", "3")),
        ("SET l[0] = l[3]", {}, list_of("3", "1", "2", "3")),
    ],
)
def test_indices_mean_the_places_before(text: str, values: dict[str, Any], after: dict[str, Any]) -> None:
    dynamodb = simulated()
    dynamodb.put_item(TableName="items", Item={**KEY, "l": list_of("0", "1", "2", "3")})
    update(dynamodb, text, values)
    assert (get(dynamodb, "k") or {})["l"] == after


def test_places_within_maps() -> None:
    dynamodb = simulated()
    inner = {"M": {"x": {"N": "1"}, "l": {"L": [{"M": {"y": {"N": "2"}}}]}}}
    dynamodb.put_item(TableName="items", Item={**KEY, "m": inner})
    update(
        dynamodb,
        "SET m.l[0].y = m.x + m.l[0].y, m.#n = :v REMOVE m.x ADD m.z :v",
        {":v": {"N": "7"}},
        ExpressionAttributeNames={"#n": "a.b"},
    )
    assert (get(dynamodb, "k") or {})["m"] == {
        "M": {"l": {"L": [{"M": {"y": {"N": "3"}}}]}, "a.b": {"N": "7"}, "z": {"N": "7"}}
    }


def test_sets_grow_shrink_and_vanish() -> None:
    dynamodb = simulated()
    update(dynamodb, "ADD s :s, n :n", {":s": {"SS": ["b", "a"]}, ":n": {"NS": ["1", "2"]}})
    update(dynamodb, "ADD s :s DELETE n :n", {":s": {"SS": ["c", "a"]}, ":n": {"NS": ["1.0"]}})
    assert get(dynamodb, "k") == {**KEY, "s": {"SS": ["a", "b", "c"]}, "n": {"NS": ["2"]}}
    update(dynamodb, "DELETE s :s, n :n, nothing :n", {":s": {"SS": ["a", "b", "c", "d"]}, ":n": {"NS": ["2"]}})
    assert get(dynamodb, "k") == KEY


def test_an_update_without_an_expression_makes_the_item() -> None:
    dynamodb = simulated()
    dynamodb.update_item(TableName="items", Key=KEY)
    assert get(dynamodb, "k") == KEY


@pytest.mark.parametrize(
    ("text", "values", "message"),
    [
        ("SET n = :v SET s = :v", {":v": {"N": "1"}}, 'The "SET" section can only be used once'),
        ("SET n = :v, n = :v", {":v": {"N": "1"}}, "overlap with each other"),
        ("SET m.x = :v REMOVE m", {":v": {"N": "1"}}, "path one: [m, x], path two: [m]"),
        ("SET m.x = :v, m[1] = :v", {":v": {"N": "1"}}, "conflict with each other"),
        ("SET id = :v", {":v": {"N": "1"}}, "This attribute is part of the key"),
        ("REMOVE id", {}, "This attribute is part of the key"),
        ("HELLO n = :v", {":v": {"N": "1"}}, 'Syntax error; token: "HELLO", near: "HELLO n"'),
        ("SET n = :v + :v + :v", {":v": {"N": "1"}}, "Syntax error"),
        ("SET n = if_not_exists(n, :v + :v)", {":v": {"N": "1"}}, "Syntax error"),
        ("SET n = f(n)", {}, "Invalid function name; function: f"),
        ("SET n = size(n)", {}, "not allowed"),
        ("SET n = list_append(list_append(:v, :v), :v)", {":v": {"L": []}}, "not allowed"),
        ("SET n = list_append(:v)", {":v": {"L": []}}, "number of operands: 1"),
        ("SET n = if_not_exists(:v, :v)", {":v": {"L": []}}, "requires a document path"),
        ("SET n = n + :v", {":v": {"S": "1"}}, "operator or function: +, operand type: S"),
        ("SET n = list_append(n, :v)", {":v": {"S": "1"}}, "list_append, operand type: S"),
        ("ADD n :v", {":v": {"S": "1"}}, "operator: ADD, operand type: STRING"),
        ("ADD n :v", {":v": {"L": []}}, "operator: ADD, operand type: LIST"),
        ("DELETE n :v", {":v": {"N": "1"}}, "operator: DELETE, operand type: NUMBER"),
        ("ADD s :v", {":v": {"N": "1"}}, "incorrect data type"),
        ("ADD n :v", {":v": {"NS": ["1"]}}, "incorrect data type"),
        ("SET n = s + :v", {":v": {"N": "1"}}, "incorrect data type"),
        ("SET n = list_append(s, :v)", {":v": {"L": []}}, "incorrect data type"),
        ("SET n = nothing", {}, "refers to an attribute that does not exist"),
        ("SET nothing.x = :v", {":v": {"N": "1"}}, "invalid for update"),
        ("SET s.x = :v", {":v": {"N": "1"}}, "invalid for update"),
        ("REMOVE s[0]", {}, "invalid for update"),
        ("SET n = :v + :w", {":v": {"N": "1E50"}, ":w": {"N": "1"}}, "Number overflow"),
        ("SET s = :v", {":v": {"S": "x" * 410_000}}, "Item size to update has exceeded"),
    ],
)
def test_what_is_refused(text: str, values: dict[str, Any], message: str) -> None:
    dynamodb = simulated()
    put(dynamodb, "k", n=1, s="text")
    before = get(dynamodb, "k")
    with pytest.raises(ClientError) as raised:
        update(dynamodb, text, values)
    assert code(raised.value) == "ValidationException"
    assert message in raised.value.response["Error"]["Message"]
    assert get(dynamodb, "k") == before


def test_an_update_returns_what_is_asked_for() -> None:
    dynamodb = simulated()
    item = {**KEY, "a": {"N": "1"}, "m": {"M": {"x": {"N": "1"}, "y": {"N": "2"}}}}
    dynamodb.put_item(TableName="items", Item=item)
    values = {":v": {"N": "5"}}

    def returned(kind: str) -> Any:
        return update(dynamodb, "SET b = :v, m.x = :v REMOVE a", values, ReturnValues=kind).get("Attributes")

    dynamodb.put_item(TableName="items", Item=item)
    assert returned("UPDATED_OLD") == {"a": {"N": "1"}, "m": {"M": {"x": {"N": "1"}}}}
    dynamodb.put_item(TableName="items", Item=item)
    assert returned("UPDATED_NEW") == {"b": {"N": "5"}, "m": {"M": {"x": {"N": "5"}}}}
    dynamodb.put_item(TableName="items", Item=item)
    assert returned("ALL_OLD") == item
    assert returned("ALL_NEW") == {**KEY, "b": {"N": "5"}, "m": {"M": {"x": {"N": "5"}, "y": {"N": "2"}}}}
    assert returned("NONE") is None
    with pytest.raises(ClientError, match="ReturnValues can only be"):
        dynamodb.put_item(TableName="items", Item=item, ReturnValues="ALL_NEW")
