"""Each hint comes from functions that make just that mistake, and names the step that mends it."""

from decimal import Decimal
from pathlib import Path

import pytest

from oncefold.lab.course.functions import Functions
from oncefold.lab.course.hints import Hint, hints
from oncefold.lab.course.observing import MAP, REDUCE, STATE, SWEEP, Observation, Seen
from oncefold.lab.course.player import LearnersPlayer, entry
from oncefold.lab.game.accounts import Cause, What
from oncefold.lab.game.match import Match
from oncefold.lab.game.rules import Rules
from oncefold.lab.game.team import Game, Playing
from oncefold.lab.game.workshop import TABLES
from tests.lab.course.learner import EASY, EXPERT, HARD, THREE, TWO, after, changed, hints_of, play, points

PASSING = """
        except dynamodb.exceptions.ConditionalCheckFailedException:
            pass  # it was there already, or is older
"""
CONDITION = """                ConditionExpression="attribute_not_exists(id) OR Version < :version",
                ExpressionAttributeValues={":version": {"N": str(message["Version"])}},
"""
MANY = """
def reduce(event, context):
    for record in event["Records"]:
        updates = [{"Update": addition(f"node {number}", 0)} for number in range(101 if memory else 1)]
        memory.append(0)
        try:
            dynamodb.transact_write_items(TransactItems=updates)
        except dynamodb.exceptions.ClientError:
            raise

memory = []
"""
MISMATCH = """
def reduce(event, context):
    for record in event["Records"]:
        updates = [{"Update": addition(node, value)} for node, value in totals_of([record]).items()]
        try:
            dynamodb.transact_write_items(TransactItems=updates, ClientRequestToken="always the same")
        except dynamodb.exceptions.IdempotentParameterMismatchException:
            pass
"""
NOT_AT_FIRST = "    dynamodb.put_item(TableName=REDUCE_TABLE"
LATER = "    if len(sums_of(event['Records'])) < 18 or memory.append(0) or len(memory) > 1: {}['gone']\n"
APART = """        dynamodb.put_item(TableName=REDUCE_TABLE, Item=delta)
        CHUNKS.append(0)
        if len(CHUNKS) % 5 == 0:
            raise RuntimeError("in between")
        try:
            dynamodb.transact_write_items(TransactItems=puts)
"""
TOGETHER = """        try:
            dynamodb.transact_write_items(TransactItems=[*puts, {"Put": {"TableName": REDUCE_TABLE, "Item": delta}}])
"""
ADDED_APART = """                dynamodb.transact_write_items(TransactItems=additions)
                dynamodb.transact_write_items(TransactItems=removals)
"""

MISTAKES = {
    "nothing is written": (after(0), THREE, EASY, "MapLambda was never called", "lab 1, step 1"),
    "map writes nothing": (
        after(1) + "\n\ndef map(event, context):\n    pass\n",
        THREE, EASY, "wrote nothing into ReduceTable, so ReduceLambda was never called", "lab 1, step 2",
    ),
    "reduce writes nothing": (
        after(1) + "\n\ndef reduce(event, context):\n    pass\n",
        THREE, EASY, "wrote nothing into AggregateTable", "lab 1, step 3",
    ),
    "a function fails": (
        changed(after(1), NOT_AT_FIRST, f"    {LATER.strip()}\n{NOT_AT_FIRST}") + "\n\nmemory = []\n",
        THREE, EASY, "last with KeyError: 'gone' (functions.py, line ", "lab 1, step 4",
    ),
    "too many actions": (after(2) + MANY, THREE, EASY, "a transaction of 101 actions", "lab 3, step 3"),
    "no condition on the state": (
        changed(after(2), CONDITION, ""), THREE, HARD, "an older version can replace a newer one", "lab 2, step 1",
    ),
    "a mismatch is swallowed": (after(2) + MISMATCH, THREE, EASY, "passed over IdempotentParameterMismatch", "lab 2, step 3"),
    "sums have names by chance": (
        changed(after(2), '{"id": {"S": name_of(event["Records"])}', '{"id": {"S": str(uuid.uuid4())}'),
        THREE, HARD, "puts the sums of a batch that comes again under", "lab 2, step 2",
    ),
    "no transaction": (
        after(2) + "\n\n" + after(1)[after(1).index("def reduce") : after(1).index("def sums_of")],
        THREE, HARD, "changes AggregateTable call by call", "lab 2, step 3",
    ),
    "no token": (
        changed(after(2), '        ClientRequestToken=name_of(event["Records"])[:36],\n', ""),
        THREE, HARD, "sends transactions without a token", "lab 2, step 3",
    ),
    "another token each time": (
        changed(after(2), 'name_of(event["Records"])[:36]', "str(uuid.uuid4())"),
        THREE, HARD, "sends another token when a batch comes again", "lab 2, step 3",
    ),
    "batches are cut anew": (after(2), THREE, EXPERT, "batches of other boundaries", "lab 3, step 1"),
    "a token is forgotten": (after(2), THREE, EXPERT, "after its token was forgotten", "lab 3, step 1"),
    "a stream is trimmed": (after(2), THREE, EXPERT, "Records left a stream", "lab 3, step 1"),
    "floats": (after(2), THREE, EXPERT, "that is float error", "lab 3, step 5"),
    "state and delta apart": (changed(after(3), TOGETHER, APART) + "\n\nCHUNKS = []\n", TWO, HARD, "writes states and their delta apart", "lab 3, step 2"),
    "deltas stay": (
        changed(after(3), "TransactItems=additions + removals", "TransactItems=additions"),
        TWO, HARD, "Deltas are added and stay", "lab 3, step 3",
    ),
    "deleted without a condition": (
        changed(after(3), ', "ConditionExpression": "attribute_exists(id)"}', "}"),
        TWO, EXPERT, "without the condition that they are there", "lab 3, step 3",
    ),
    "a cancelled transaction is left": (
        changed(after(3), "                group = items_of(REDUCE_TABLE, [delta", "                break  # ([delta").replace(
            'break  # ([delta["id"]["S"] for delta in group])', "break"
        ),
        "functions:state,reduce", EXPERT, "right after its transaction was cancelled", "lab 3, step 3",
    ),
    "nothing sweeps": (after(3), "functions:state,reduce", EXPERT, "no stream record tells of them", "lab 3, step 4"),
}  # fmt: skip

UNLUCKY = {"no transaction", "no token", "another token each time"}
"""Mistakes that take a ReduceLambda that fails, which it does under another seed."""


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_gives_its_hint(name: str, tmp_path: Path) -> None:
    module, functions, rules, words, step = MISTAKES[name]
    seed = 7 if name in UNLUCKY else 1
    results = play(module, tmp_path, functions, rules, 4 if rules is EXPERT else 3, seed)
    assert 0 in points(results)
    told = [hint for hint in hints_of(results).splitlines() if words in hint]
    assert told, hints_of(results)
    assert told[0].endswith(f"See docs/COURSE.md, {step}.")
