"""Expressions: what they mean, what they refuse, and their canonical form. DuckDB is the judge in tests/oracle."""

import json
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oncefold.core.decode import Decoder
from oncefold.core.definition import Pipeline
from oncefold.core.definition_text import to_toml
from oncefold.core.definition_toml import parse_toml
from oncefold.core.errors import DefinitionError, InvalidEvent
from oncefold.core.event import DELETED
from oncefold.core.expression import (
    MOST_DEPTH,
    Call,
    Expression,
    ExpressionError,
    Field,
    Node,
    call,
    fields_in,
    from_tree,
    number,
    to_sql,
    to_tree,
)
from oncefold.core.fieldpath import FieldPath
from oncefold.expression_sql import parse_sql
from oncefold.pipeline_file import parse_pipeline


def value(sql: str, **fields: Any) -> str | None:
    """The label that an expression gives an event; None for NULL."""
    pipeline = pipeline_with(f"rollups.t = [{{ field = {json.dumps('COALESCE(' + as_text(sql) + ', chr)')} }}]")
    event = Decoder(pipeline).json(json.dumps({"id": 1, "chr": "<null>", **fields}).encode())
    assert event.content.labels is not None
    (label,) = event.content.labels
    return None if label == "<null>" else label


def as_text(sql: str) -> str:
    return sql if parse_sql(sql).kind in {"text", "raw"} else f"CAST(({sql}) AS TEXT)"


def pipeline_with(settings: str, event: str = 'key = "id"') -> Pipeline:
    rollups = "" if "rollups" in settings else 'rollups.t = ["g"]'
    return parse_pipeline(f'name = "x"\n{rollups}\n{settings}\n[event]\n{event}\n')


VALUES: list[tuple[str, dict[str, Any], str | None]] = [
    ("a + b", {"a": 1, "b": "2.50"}, "3.5"),
    ("a - b * 2", {"a": 1, "b": 2}, "-3"),
    ("(a - b) * 2", {"a": 1, "b": 2}, "-2"),
    ("a * b", {"a": "0.1", "b": "0.2"}, "0.02"),
    ("a + b", {"a": 1}, None),
    ("-a", {"a": "1e2"}, "-100"),
    ("ROUND(a / b, 2)", {"a": 1, "b": 3}, "0.33"),
    ("ROUND(a / b, 0)", {"a": 5, "b": 2}, "2"),
    ("ROUND(a / b, 0)", {"a": 7, "b": 2}, "4"),
    ("ROUND(-a, 1)", {"a": "0.25"}, "-0.2"),
    ("ROUND((a / 3) * 3, 2)", {"a": 1}, "1"),
    ("ROUND(a)", {"a": "2.5"}, "2"),
    ("CAST(a AS DECIMAL(5, 1))", {"a": "1.25"}, "1.2"),
    ("CAST(a AS INTEGER)", {"a": "3.5"}, "4"),
    ("CAST(a AS DECIMAL)", {"a": "1.250"}, "1.25"),
    ("ABS(a)", {"a": -3}, "3"),
    ("a > 1", {"a": "1.0000000000000000000000000000000001"}, "true"),
    ("a / 3 > 0.3333333", {"a": 1}, "true"),
    ("a = '1'", {"a": 1}, "true"),
    ("a = 1", {"a": "1.0"}, "true"),
    ("a IN (1, 2, NULL)", {"a": 2}, "true"),
    ("a IN (1, NULL)", {"a": 3}, None),
    ("a NOT IN (1, 2)", {"a": 3}, "true"),
    ("a BETWEEN 1 AND 3", {"a": 3}, "true"),
    ("a NOT BETWEEN 1 AND 3", {"a": None}, None),
    ("a IS NULL", {"a": None}, "true"),
    ("a IS NULL", {}, "true"),
    ("a IS NOT NULL", {"a": ""}, "true"),
    ("a = 1 AND b = 1", {"a": 2}, "false"),
    ("a = 1 OR b = 1", {"a": 1}, "true"),
    ("a = 1 OR b = 1", {"a": 2}, None),
    ("NOT (a = 1)", {}, None),
    ("a IS TRUE", {}, "false"),
    ("a IS NOT TRUE", {}, "true"),
    ("a IS FALSE", {"a": False}, "true"),
    ("a LIKE 'x%_z'", {"a": "xy\nyz"}, "true"),
    ("a LIKE 'x'", {"a": "X"}, "false"),
    ("a LIKE '10!%' ESCAPE '!'", {"a": "10%"}, "true"),
    ("a NOT LIKE 'a.c'", {"a": "abc"}, "true"),
    ("CASE WHEN a > 1 THEN 'big' WHEN a > 0 THEN 'small' END", {"a": 1}, "small"),
    ("CASE WHEN a > 1 THEN 'big' END", {"a": 1}, None),
    ("CASE a WHEN 'x' THEN 1 ELSE 2 END", {"a": "x"}, "1"),
    ("COALESCE(a, b, 'none')", {"b": "x"}, "x"),
    ("COALESCE(a, 0) + 1", {}, "1"),
    ("NULLIF(a, '')", {"a": ""}, None),
    ("NULLIF(a, '')", {"a": "x"}, "x"),
    ("LOWER(a) || UPPER(b)", {"a": "ÀB", "b": "c"}, "àbC"),
    ("a || b", {"a": "x"}, None),
    ("TRIM(a)", {"a": "  x "}, "x"),
    ("TRIM(LEADING '0' FROM a)", {"a": "0070"}, "70"),
    ("TRIM(TRAILING '0' FROM a)", {"a": "0070"}, "007"),
    ("SUBSTR(a, 2, 3)", {"a": "äöüß!"}, "öüß"),
    ("SUBSTR(a, 0, 3)", {"a": "abc"}, "ab"),
    ("SUBSTR(a, -1, 3)", {"a": "abc"}, "a"),
    ("SUBSTR(a, 9)", {"a": "abc"}, ""),
    ("SPLIT_PART(a, '-', 2)", {"a": "x-y-z"}, "y"),
    ("SPLIT_PART(a, '-', -1)", {"a": "x-y-z"}, "z"),
    ("SPLIT_PART(a, '-', 4)", {"a": "x-y-z"}, ""),
    ("GREATEST(a, 2, b)", {"a": 1, "b": 3}, "3"),
    ("LEAST(a, 2, b)", {"a": 1}, "1"),
    ("EXTRACT(YEAR FROM a)", {"a": "2024-02-29T23:59:58.5Z"}, "2024"),
    ("EXTRACT(QUARTER FROM a)", {"a": "2024-02-29T23:59:58.5Z"}, "1"),
    ("EXTRACT(WEEK FROM a)", {"a": "2021-01-03"}, "53"),
    ("EXTRACT(DOW FROM a)", {"a": "2024-02-25"}, "0"),
    ("EXTRACT(DOY FROM a)", {"a": "2024-12-31"}, "366"),
    ("EXTRACT(HOUR FROM a)", {"a": "2024-02-29T23:59:58.5+01:00"}, "22"),
    ("EXTRACT(MINUTE FROM a)", {"a": "1969-12-31T23:59:58.5Z"}, "59"),
    ("EXTRACT(SECOND FROM a)", {"a": "1969-12-31T23:59:58.5Z"}, "58"),
    ("EXTRACT(EPOCH FROM a)", {"a": "1969-12-31T23:59:58.5Z"}, "-1.5"),
    ("CAST(a AS TIMESTAMP)", {"a": "2024-02-29 23:59:58"}, "2024-02-29T23:59:58Z"),
    ("a >= TIMESTAMP '2024-01-01'", {"a": "2024-01-01T00:00:00Z"}, "true"),
    ("CAST(a AS TIMESTAMP) < '2024-01-01'", {"a": 0}, "true"),
    ("CAST(a AS TEXT)", {"a": "x"}, "x"),
    ("CAST(a AS TEXT)", {"a": True}, "true"),
    ('"a b" || c.d', {"a b": "x", "c": {"d": "y"}}, "xy"),
]


@pytest.mark.parametrize(("sql", "fields", "expected"), VALUES, ids=[f"{sql} {fields}" for sql, fields, _ in VALUES])
def test_values(sql: str, fields: dict[str, Any], expected: str | None) -> None:
    assert value(sql, **fields) == expected


@pytest.mark.parametrize(
    ("sql", "fields", "reason"),
    [
        ("a + 1", {"a": "x"}, "field a: 'x' is not a number"),
        ("a + 1", {"a": {}}, "field a: an object is not a number"),
        ("a + 1", {"a": True}, "field a: true is not a number"),
        ("ROUND(1 / a, 2)", {"a": 0}, "division by zero"),
        ("a || 'x'", {"a": []}, "field a: an array cannot be a key or label"),
        ("CAST(a AS DECIMAL(3, 1))", {"a": 100}, "'100' is out of range for DECIMAL.3, 1."),
        ("CAST(a AS TIMESTAMP)", {"a": "soon"}, "field a: 'soon' is not an RFC 3339 time"),
        ("a AND TRUE", {"a": "yes"}, "field a: 'yes' is neither true nor false"),
        ("SPLIT_PART(a, '-', 0)", {"a": "x"}, "SPLIT_PART counts from 1"),
        ("SUBSTR(a, 1.5)", {"a": "x"}, "SUBSTR takes whole numbers, not 1.5"),
        ("a + 1", {"a": "1e401"}, "out of range"),
    ],
)
def test_what_an_event_cannot_give_is_a_reason(sql: str, fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidEvent, match=reason):
        value(sql, **fields)


def test_an_argument_that_is_not_needed_is_not_evaluated() -> None:
    assert value("CASE WHEN a = 0 THEN 'none' ELSE CAST(ROUND(1 / a, 2) AS TEXT) END", a=0) == "none"
    assert value("a <> 0 AND 1 / a > 0", a=0) == "false"
    assert value("COALESCE(b, CAST(ROUND(1 / a, 2) AS TEXT))", a=0, b="x") == "x"


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("a / b", r"a division says its decimal places: write ROUND\(a / b, 2\)"),
        ("CAST(a / 3 AS TEXT)", "a division says its decimal places"),
        ("a = b", "cannot know how to read a, b: write CAST"),
        ("qty + 'x'", "takes a number, not the text 'x'"),
        ("a > 1 AND b", None),
        ("(a > 1) > (b > 1)", "does not compare truth values"),
        ("a + (b || 'x')", "takes a number, not the text"),
        ("CASE WHEN a THEN 1 ELSE 'x' END", "values of one kind, not number and text"),
        ("ROUND(a, 99)", "a whole number from 0 to 38"),
        ("CAST(a AS DECIMAL(2, 3))", "holds no number"),
        ("CAST(a AS BLOB)", "CAST knows DECIMAL, TEXT and TIMESTAMP"),
        ("random()", "is not known here"),
        ("now()", "is not known here"),
        ("a IN (SELECT 1)", "IN takes a list of values"),
        ("SELECT 1", "is not known here"),
        ("a +", "not an SQL expression"),
        ("1; 2", "write one expression"),
        ("EXTRACT(CENTURY FROM a)", "EXTRACT knows YEAR"),
        ("TIMESTAMP 'soon' < a", "'soon' is not an RFC 3339 time"),
        ("+".join(["a"] * 400), "nested"),
    ],
)
def test_what_is_no_expression_says_why(sql: str, message: str | None) -> None:
    if message is None:
        assert parse_sql(sql).kind == "boolean"
        return
    with pytest.raises(ExpressionError, match=message):
        Expression(parse_sql(sql))


@pytest.mark.parametrize("sql", [sql for sql, _, _ in VALUES])
def test_the_canonical_form_gives_the_same_tree(sql: str) -> None:
    tree = parse_sql(sql)
    assert from_tree(json.loads(json.dumps(to_tree(tree)))) == tree
    assert parse_sql(to_sql(tree)) == tree, "and so does its text for people"


@pytest.mark.parametrize(
    "tree", [None, [], ["field"], ["field", "a", "x"], ["+", 1], ["launch", ["null", "raw"]], ["number", "x"], [["+"]]]
)
def test_what_is_no_tree_is_refused(tree: Any) -> None:
    with pytest.raises(ExpressionError):
        from_tree(tree)


def test_depth_is_limited() -> None:
    tree: Node = number("1")
    for _ in range(MOST_DEPTH - 1):
        tree = call("+", tree, number("1"))
    with pytest.raises(ExpressionError, match="nested deeper"):
        call("+", tree, number("1"))


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6), st.decimals(-999, 999, places=4))
def test_arithmetic_is_exact(a: Any, b: Any) -> None:
    found = value("a * b - a", a=str(a), b=str(b))
    assert found is not None
    assert Fraction(found) == Fraction(str(a)) * Fraction(str(b)) - Fraction(str(a))


ORDERS = """
name = "orders"
[fields]
net = "ROUND(qty * price * (1 - COALESCE(discount, 0)), 2)"
paid = "status IN ('paid', 'refunded')"
[event]
key = "'order-' || id"
version = "v"
delete = "LOWER(op) = 'd'"
time = "at"
where = "paid AND qty > 0"
[rollups]
t = ["UPPER(country)", { field = "SUBSTR(sku, 1, 2)", missing = "--" }]
d = [{ field = "CAST(at AS TIMESTAMP)", window = "1d" }]
[measures]
net = { sum = "net", scale = 2 }
items = { sum = "qty", scale = 0 }
"""
EVENT = {"id": 7, "v": 1, "op": "c", "at": "2024-03-01T10:00:00Z", "status": "paid", "qty": 3, "price": "1.10"}


def test_a_definition_takes_expressions_wherever_a_field_stands() -> None:
    decoder = Decoder(parse_pipeline(ORDERS))
    event = decoder.json(json.dumps({**EVENT, "country": "de", "sku": "AB12", "discount": 0.5}).encode())
    assert (event.key, event.version) == ("order-7", 1)
    assert event.content.labels == ("DE", "AB", "2024-03-01")
    assert event.content.measures == (165, 3)
    assert decoder.json(json.dumps({**EVENT, "op": "D"}).encode()).content == DELETED


@pytest.mark.parametrize("change", [{"status": "open"}, {"status": None}, {"qty": 0}, {"qty": None}])
def test_what_where_leaves_out_keeps_its_version_and_nothing_else_is_read(change: dict[str, Any]) -> None:
    event = Decoder(parse_pipeline(ORDERS)).json(json.dumps({**EVENT, **change}).encode())
    assert (event.version, event.content, event.filtered) == (1, DELETED, True)


def test_a_delete_is_no_matter_of_where() -> None:
    event = Decoder(parse_pipeline(ORDERS)).json(json.dumps({**EVENT, "op": "d", "status": "open"}).encode())
    assert (event.content, event.filtered) == (DELETED, False)


def test_an_empty_cell_is_null_as_a_number_and_a_text_as_a_text() -> None:
    pipeline = pipeline_with('measures.n = { sum = "COALESCE(a, 5) + 1", scale = 0 }\nrollups.t = ["b || \'!\'"]')
    event = Decoder(pipeline).csv(["id", "a", "b"], ["1", "", ""])
    assert event.content.measures == (6,)
    assert event.content.labels == ("!",)


def test_the_canonical_text_holds_trees_and_needs_no_parser() -> None:
    pipeline = parse_pipeline(ORDERS)
    again = parse_toml(to_toml(pipeline))
    assert again == pipeline
    assert again.fingerprint == pipeline.fingerprint
    assert to_toml(again) == to_toml(pipeline)
    assert [str(expression) for expression in again.expressions][-1] == "paid AND (qty > 0)" or again.where is not None


def test_names_and_spelling_are_not_in_the_fingerprint() -> None:
    other = ORDERS.replace('net = "ROUND(qty * price', 'net = "round((qty*price)').replace("COALESCE", "coalesce")
    assert parse_pipeline(other).fingerprint == parse_pipeline(ORDERS).fingerprint
    changed = ORDERS.replace("qty > 0", "qty >= 0")
    assert parse_pipeline(changed).fingerprint != parse_pipeline(ORDERS).fingerprint


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ('measures.n = { sum = "a / b", scale = 2 }', r"measures\] n.sum: a division says its decimal places"),
        ('measures.n = { sum = "Amount(EUR)", scale = 2 }', r"in quotes: '\"Amount\(EUR\)\"'"),
        ('event.where = "qty + 1"', None),
    ],
)
def test_errors_name_the_setting(settings: str, message: str | None) -> None:
    if message is None:
        with pytest.raises(DefinitionError, match="where takes a boolean, not the number qty"):
            pipeline_with("", 'key = "id"\nwhere = "qty + 1"')
        return
    with pytest.raises(DefinitionError, match=message):
        pipeline_with(settings)


def test_a_quoted_name_is_a_field() -> None:
    pipeline = pipeline_with("""measures.n = { sum = '"Amount (EUR)"', scale = 2 }""")
    assert pipeline.measures[0].field == FieldPath(("Amount (EUR)",))
    assert parse_toml(to_toml(pipeline)) == pipeline


@pytest.mark.parametrize(
    "name", ["Country/Region", "Amount (EUR)", "Beleg Nr", "order-id", "Unit Price (net, EUR)", "a b"]
)
def test_a_name_of_everyday_is_a_field(name: str) -> None:
    is_field = name != "Unit Price (net, EUR)"
    text = json.dumps(name if is_field else f'"{name}"')
    assert pipeline_with(f"measures.n.sum = {text}").measures[0].field == FieldPath((name,))


@pytest.mark.parametrize("sql", ["NOT (a)", "UPPER (a)", "qty*price", "a + b", "-a", "a - b", "a IN (1, 2)"])
def test_what_has_a_sign_of_sql_is_an_expression(sql: str) -> None:
    assert isinstance(pipeline_with(f"measures.n.sum = {json.dumps(sql)}").measures[0].field, Expression)


def test_a_condition_may_be_a_field_alone() -> None:
    pipeline = pipeline_with("", 'key = "id"\nwhere = "active"')
    assert pipeline.where == Expression(Field(FieldPath(("active",)), "boolean"))


def test_fields_are_those_of_the_expressions_too() -> None:
    pipeline = parse_pipeline(ORDERS)
    assert {str(field) for field in pipeline.fields} == {
        *["id", "v", "op", "at", "status", "qty", "price", "discount", "country", "sku"]
    }
    assert [str(field) for field in fields_in(parse_sql("a + b.c * a"))] == ["a", "b.c"]


@given(
    st.recursive(
        st.sampled_from(["a", "b", "1", "2.5", "NULL"]),
        lambda inner: st.tuples(st.sampled_from("+-*"), inner, inner),
        max_leaves=8,
    )
)
def test_every_tree_has_a_text_that_reads_back(shape: Any) -> None:
    def sql(part: Any) -> str:
        return part if isinstance(part, str) else f"({sql(part[1])}) {part[0]} ({sql(part[2])})"

    tree = parse_sql(f"{sql(shape)} + 0")
    assert isinstance(tree, Call)
    assert parse_sql(to_sql(tree)) == tree
