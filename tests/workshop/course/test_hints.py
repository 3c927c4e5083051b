"""Each hint comes from functions that make just that mistake, and names the step that mends it."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from oncefold_workshop.course.functions import HandlerPlace, LearnerFunctions
from oncefold_workshop.course.hints import hints
from oncefold_workshop.course.observer import MAP, REDUCE, STATE, SWEEP, CallCounts, FunctionObservation
from oncefold_workshop.game.rules import GameRules
from oncefold_workshop.pipelines.settings import TABLES
from tests.tools.sizes import full_only
from tests.workshop.course.learner import EASY, EXPERT, HARD, THREE, TWO, after, changed, hints_of, play, points

OUTBOX = "functions:state,reduce"
UNLUCKY = 7
"""A seed under which ReduceLambda soon fails."""


@dataclass(frozen=True)
class Mistake:
    module: str
    message: str
    """Of the hint."""
    step: str
    rules: GameRules = EASY
    functions: str = THREE
    seed: int = 1


def without(lab: int, handler: str) -> str:
    """A lab's module with a handler that does nothing."""
    return f"{after(lab)}\n\ndef {handler}(event, context):\n    pass\n"


STATE_CONDITION = """                ConditionExpression="attribute_not_exists(id) OR Version < :version",
                ExpressionAttributeValues={":version": {"N": str(message["Version"])}},
"""
MAP_PUTS = "    dynamodb.put_item(TableName=REDUCE_TABLE"
MAP_FAILS_LATER = "    memory.append(0)\n    if len(memory) > 1:\n        {}['gone']\n"
MEMORY = "\n\nmemory = []\n"
TOKEN = "ClientRequestToken=hashlib.md5(str(records).encode()).hexdigest(),"
TOO_MANY_LATER = (
    MEMORY
    + """

def reduce(event, context):
    memory.append(0)
    nodes = range(10 if len(memory) == 1 else 101)
    dynamodb.transact_write_items(TransactItems=[{"Update": addition(f"node {node}", 0)} for node in nodes])
"""
)
SAME_TOKEN = """

def reduce(event, context):
    for record in event["Records"]:
        updates = [{"Update": addition(node, value)} for node, value in totals_of([record]).items()]
        try:
            dynamodb.transact_write_items(TransactItems=updates, ClientRequestToken="always the same")
        except dynamodb.exceptions.IdempotentParameterMismatchException:
            pass
"""
REFUSED = """

def reduce(event, context):
    try:
        dynamodb.update_item(**{**addition("Delta", 1), "UpdateExpression": "ADD Value :value"})
    except dynamodb.exceptions.ClientError:
        pass
"""
IN_ONE = """        try:
            dynamodb.transact_write_items(TransactItems=[*puts, {"Put": {"TableName": REDUCE_TABLE, "Item": delta}}])
"""
IN_TWO = """        dynamodb.put_item(TableName=REDUCE_TABLE, Item=delta)
        memory.append(0)
        if len(memory) % 5 == 0:
            raise RuntimeError("in between")
        try:
            dynamodb.transact_write_items(TransactItems=puts)
"""
ADDED_AND_DELETED = "                dynamodb.transact_write_items(TransactItems=additions + removals)\n"
ADDED_THEN_DELETED = """                dynamodb.transact_write_items(TransactItems=additions)
                dynamodb.transact_write_items(TransactItems=removals)
"""
LEFT_OVER = """                group = items_of(REDUCE_TABLE, "MessageId", [delta["MessageId"]["S"] for delta in group])
"""

MISTAKES = {
    "nothing is written": Mistake(after(0), "MapLambda was never called", "lab 1, step 1"),
    "map writes nothing": Mistake(without(1, "map"), "so ReduceLambda was never called", "lab 1, step 2"),
    "reduce writes nothing": Mistake(without(1, "reduce"), "wrote nothing into AggregateTable", "lab 1, step 3"),
    "a function fails": Mistake(
        changed(after(1), MAP_PUTS, MAP_FAILS_LATER + MAP_PUTS) + MEMORY,
        "last with KeyError: 'gone' (functions.py, line ",
        "lab 1, step 4",
    ),
    "a refusal is swallowed": Mistake(after(1) + REFUSED, "passed over ValidationException", "lab 1, step 4"),
    "too many actions": Mistake(after(2) + TOO_MANY_LATER, "a transaction of 101 actions", "lab 2, step 3"),
    "no condition on the state": Mistake(
        changed(after(2), STATE_CONDITION, ""), "an older version can replace a newer one", "lab 2, step 1", HARD
    ),
    "a mismatch is swallowed": Mistake(
        after(2) + SAME_TOKEN, "passed over IdempotentParameterMismatch", "lab 2, step 3"
    ),
    "sums have names by chance": Mistake(
        changed(after(2), '{"MessageId": {"S": name_of(event["Records"])}', '{"MessageId": {"S": str(uuid.uuid4())}'),
        "puts the sums of a batch that comes again under another name",
        "lab 2, step 2",
        HARD,
    ),
    "no transaction": Mistake(
        after(2) + "\n\n" + after(1)[after(1).index("def reduce") : after(1).index("def sums_of")],
        "changes AggregateTable call by call",
        "lab 2, step 3",
        HARD,
        seed=UNLUCKY,
    ),
    "no token": Mistake(
        changed(after(2), f"        {TOKEN}\n", ""),
        "sends transactions without a token",
        "lab 2, step 3",
        HARD,
        seed=UNLUCKY,
    ),
    "another token each time": Mistake(
        changed(after(2), TOKEN, "ClientRequestToken=str(uuid.uuid4()),"),
        "sends another token when a batch comes again",
        "lab 2, step 3",
        HARD,
        seed=UNLUCKY,
    ),
    "batches are cut anew": Mistake(after(2), "batches of other boundaries", "lab 3, step 1", EXPERT),
    "a token is forgotten": Mistake(after(2), "after its token was forgotten", "lab 3, step 1", EXPERT),
    "a stream is trimmed": Mistake(after(2), "Records left a stream", "lab 3, step 1", EXPERT),
    "floats": Mistake(after(2), "that is float error", "lab 3, step 5", EXPERT),
    "state and delta apart": Mistake(
        changed(after(3), IN_ONE, IN_TWO) + MEMORY, "writes states and their delta apart", "lab 3, step 2", HARD, TWO
    ),
    "deltas stay": Mistake(
        changed(after(3), "additions + removals", "additions"), "added and stay", "lab 3, step 3", HARD, TWO
    ),
    "deleted without a condition": Mistake(
        changed(after(3), ', "ConditionExpression": condition}', "}"),
        "without the condition that they are there",
        "lab 3, step 3",
        EXPERT,
        TWO,
    ),
    "added and deleted apart": Mistake(
        changed(after(3), ADDED_AND_DELETED, ADDED_THEN_DELETED),
        "added in one request and deleted in another",
        "lab 3, step 3",
        EXPERT,
        TWO,
    ),
    "a cancelled transaction is left": Mistake(
        changed(after(3), LEFT_OVER, "                break\n"),
        "right after its transaction was cancelled",
        "lab 3, step 3",
        EXPERT,
        OUTBOX,
    ),
    "nothing sweeps": Mistake(after(3), "no stream record announces them", "lab 3, step 4", EXPERT, OUTBOX),
}


QUICK = ("a refusal is swallowed", "deltas stay", "reduce writes nothing")
"""What the short form plays."""


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in QUICK else full_only("a game of a second or more")) for name in MISTAKES],
)
def test_a_mistake_gives_its_hint(name: str, tmp_path: Path) -> None:
    mistake = MISTAKES[name]
    rounds = 4 if mistake.rules is EXPERT else 3
    results = play(mistake.module, tmp_path, mistake.functions, mistake.rules, rounds, mistake.seed)
    assert 0 in points(results)
    reported = [hint for hint in hints_of(results).splitlines() if mistake.message in hint]
    assert reported, hints_of(results)
    assert reported[0].endswith(f"See docs/COURSE.md, {mistake.step}.")


def test_a_round_that_is_right_too_late_names_who_took_the_time(tmp_path: Path) -> None:
    slow = after(1)
    for name in ("state", "map", "reduce"):
        start = slow.index('"""', slow.index('"""', slow.index(f"def {name}(")) + 3) + 3
        slow = f"{slow[:start]}\n    time.sleep(9.4)\n{slow[start:]}"
    results = play(f"import time\n{slow}", tmp_path, THREE, GameRules(40))
    assert points(results) == [0]
    played = results[0].scored[0].played
    assert played.wrong is None
    assert played.right_after is not None
    assert played.right_after > 30
    assert "more than 30 s after the last message. StateLambda took longest: " in hints_of(results)


@full_only("1 s")
def test_hints_name_only_the_labs_that_are_reached(tmp_path: Path) -> None:
    """Lab 1's functions write floats and have no condition; in easy mode nobody speaks of labs 2 and 3."""
    lost = changed(after(1), "sums.get(node, 0) + sign", "sums.get(node, 0) + 1.1 * sign")
    easy, hard = (hints_of(play(lost, tmp_path, THREE, rules)) for rules in (EASY, HARD))
    assert "lab 2" not in easy
    assert "lab 3" not in easy
    assert "lab 2" in hard
    assert "lab 3" not in hard


@pytest.mark.parametrize("middle", ["map", None])
def test_functions_that_do_nothing_amiss_get_no_hint(middle: str | None) -> None:
    state = CallCounts(
        9, writes=Counter({TABLES.state: 9, TABLES.reduce: 0 if middle else 9}), together=0 if middle else 9
    )
    sums = CallCounts(5, writes=Counter({TABLES.reduce: 5}))
    added = CallCounts(4, writes=Counter({TABLES.aggregate: 40, TABLES.reduce: 9}), deletes=Counter({TABLES.reduce: 9}))
    seen = {STATE: state, MAP: sums, REDUCE: added, SWEEP: CallCounts(3)}
    places = {name: HandlerPlace("functions", Path(), False, name) for name in ("state", "map", "reduce", "sweep")}
    functions = LearnerFunctions(places["state"], places[middle] if middle else None, places["reduce"], places["sweep"])
    items = {TABLES.state: 9, TABLES.reduce: 2, TABLES.aggregate: 18}
    assert hints(FunctionObservation(functions, seen, items, (), 2)) == ()
