"""What a learner's code sees from inside, and what it is told where it goes wrong."""

import random
import time
from functools import partial
from pathlib import Path

import boto3
import pytest

from oncefold.core.errors import OncefoldError
from oncefold_lab.world.scheduler import START
from oncefold_workshop.course import runner
from oncefold_workshop.course.player import LearnerOptions, entry
from oncefold_workshop.course.sandbox import SandboxGuard
from oncefold_workshop.game.match import Game, Match, Playing
from oncefold_workshop.game.players import choose
from oncefold_workshop.game.rules import GameRules
from tests.tools.sizes import full_only
from tests.workshop.course.learner import EASY, THREE, TWO, after, changed, hints_of, play, points

REST = "\n\ndef map(event, context):\n    pass\n\n\ndef reduce(event, context):\n    pass\n"


def output_of(module: str, folder: Path, functions: str = THREE, seed: int = 1) -> str:
    """What the game ends with."""
    with pytest.raises(OncefoldError) as error:
        play(module, folder, functions, EASY, 1, seed)
    return str(error.value)


def said(body: str, folder: Path, seed: int = 1) -> str:
    """What `state` says in its first invocation, by an exception."""
    return output_of(f"def state(event, context):\n    {body}{REST}", folder, seed=seed).rsplit("AssertionError: ", 1)[
        -1
    ]


@pytest.mark.parametrize(
    "now",
    [
        "import time; assert 0, time.time()",
        "from time import time as seconds; assert 0, seconds()",
        "import time; assert 0, time.time_ns() / 1e9",
        "import calendar, time; assert 0, calendar.timegm(time.localtime()) + 1",
        "import datetime; assert 0, datetime.datetime.now(datetime.UTC).timestamp()",
        "from datetime import datetime, UTC; assert 0, datetime.utcnow().replace(tzinfo=UTC).timestamp()",
    ],
)
def test_time_is_virtual(now: str, tmp_path: Path) -> None:
    assert START <= float(said(now, tmp_path)) < START + 60


def test_sleeping_takes_virtual_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    really: list[float] = []
    monkeypatch.setattr(time, "sleep", really.append)
    slept = "import time; a = time.time(); time.sleep(5); left = context.get_remaining_time_in_millis()"
    slept = f"{slept}; assert 0, (time.time() - a, left)"
    seconds, left = eval(said(slept, tmp_path))
    assert seconds == pytest.approx(5)
    assert 4_000 < left < 5_000
    assert really == []


@pytest.mark.parametrize(
    "expression",
    [
        "import random; assert 0, random.random()",
        "from random import Random; assert 0, Random().random()",
        "import random; assert 0, random.SystemRandom().getrandbits(60)",
        "import uuid; assert 0, uuid.uuid4()",
        "from uuid import uuid1; assert 0, uuid1()",
        "import secrets; assert 0, secrets.token_hex(8)",
        "import os; assert 0, os.urandom(8)",
    ],
)
def test_chance_comes_from_the_seed(expression: str, tmp_path: Path) -> None:
    assert said(expression, tmp_path) == said(expression, tmp_path) != said(expression, tmp_path, seed=2)


def test_the_rest_of_the_process_keeps_its_modules(tmp_path: Path) -> None:
    before = (boto3.client, boto3.resource, boto3.Session, time.time, random.random)
    play(after(1), tmp_path, THREE)
    assert before == (boto3.client, boto3.resource, boto3.Session, time.time, random.random)


def test_other_modules_of_the_learners_are_loaded_the_same_way(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "__init__.py").write_text("from .clock import now\nfrom . import more\n")
    (tmp_path / "parts" / "clock.py").write_text("import time\n\n\ndef now():\n    return time.time()\n")
    (tmp_path / "parts" / "more.py").write_text("import boto3.dynamodb.types as types\nNAME = types.STRING\n")
    (tmp_path / "beside.py").write_text(
        "import os.path\nimport parts.clock\nclock = parts.clock\njoin = os.path.join\n"
    )
    found = said("import beside, parts; assert 0, (beside.clock.now(), parts.now(), parts.more.NAME)", tmp_path)
    assert eval(found) == (pytest.approx(START, abs=60), pytest.approx(START, abs=60), "S")


def test_a_dataclass_can_be_made(tmp_path: Path) -> None:
    module = "from __future__ import annotations\nfrom dataclasses import dataclass\n\n\n@dataclass\nclass Point:"
    assert "Point(x=1)" in output_of(
        f"{module}\n    x: int\n\n\ndef state(event, context):\n    assert 0, Point(1){REST}", tmp_path
    )


MARKED = """
seen = []


def mark(name):
    assert seen in ([], [name]), seen
    seen[:] = [name]
"""


def test_nothing_is_left_from_one_game_or_function_to_the_next(tmp_path: Path) -> None:
    module = after(1) + MARKED
    for name in ("state", "map"):
        start = module.index('"""', module.index('"""', module.index(f"def {name}(")) + 3) + 3
        module = f"{module[:start]}\n    mark({name!r})\n{module[start:]}"
    assert points(play(module, tmp_path, THREE, EASY, 2)) == [100, 100]
    (tmp_path / "functions.py").unlink()
    assert points(play(module.replace("seen = []", "seen = [][:]"), tmp_path, THREE, EASY, 2)) == [100, 100]


def test_an_environment_is_warm_for_one_invocation_after_the_other(tmp_path: Path) -> None:
    module = f"seen = []\n\n\ndef state(event, context):\n    seen.append(0)\n    assert len(seen) < 3, 'warm'\n{REST}"
    results = play(module, tmp_path, THREE, EASY, 2)
    assert "last with AssertionError: warm" in hints_of(results)


def test_settings_and_context_are_those_of_lambda(tmp_path: Path) -> None:
    tables = "import os; assert 0, [os.environ[f'WORKSHOP_{name}_TABLE'] for name in ('STATE', 'REDUCE', 'AGGREGATE')]"
    assert eval(said(tables, tmp_path)) == ["StateTable", "ReduceTable", "AggregateTable"]
    assert said("assert 0, context.function_name", tmp_path) == "StateLambda"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("import boto3; boto3.resource('s3')", "the lab has no 's3'"),
        ("import boto3; boto3.resource('dynamodb').create_table()", "has no create_table; it has Table"),
        ("import boto3; boto3.resource('dynamodb').Table('T').load()", "the lab's Table has no load"),
        ("import boto3; boto3.Session().client('s3')", "the lab has no 's3'"),
        ("from boto3.session import Session; Session().client('sqs')", "the lab has no 'sqs'"),
        ("import boto3; boto3.client('dynamodb').create_backup()", "client has no create_backup"),
        ("import urllib.request as u; u.urlopen('http://127.0.0.1:9')", "cannot reach the network"),
        ("import threading; threading.Thread(target=print).start()", "cannot start threads"),
        ("from concurrent.futures import ThreadPoolExecutor as Pool; Pool(4)", "cannot start threads"),
        ("import subprocess; subprocess.run(['true'])", "cannot start other programs"),
        ("return {1, 2}", "what the handler returns is no JSON"),
        (
            "import boto3; boto3.client('dynamodb').put_item(TableName='StateTable', Item={'v': {'N': 1.5}})",
            "Invalid type for parameter Item.v.N, value: 1.5",
        ),
        (
            "import boto3; boto3.client('dynamodb').put_item(TableName='None', Item={'id': {'S': 'a'}})",
            "ResourceNotFound",
        ),
    ],
)
def test_what_the_lab_has_not_is_said(body: str, message: str, tmp_path: Path) -> None:
    assert message in output_of(f"def state(event, context):\n    {body}{REST}", tmp_path)


def test_a_failure_shows_the_learners_own_code_and_nothing_else(tmp_path: Path) -> None:
    module = (
        "def state(event, context):\n    return deeper(event)\n\n\ndef deeper(event):\n    return event['Record']\n"
    )
    text = output_of(module + REST, tmp_path)
    assert text.startswith("StateLambda (state of functions) fails:\nTraceback (your own code):\n")
    assert 'functions.py", line 6, in deeper' in text
    assert "return event['Record']" in text
    assert text.endswith("KeyError: 'Record'")
    assert "oncefold" not in text


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("import nothing_like_it\n", "No module named 'nothing_like_it'"),
        ("def state(:\n", "SyntaxError"),
        ("1 / 0\n", 'functions.py", line 1'),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3"),
        (
            "import boto3\nboto3.client('dynamodb').scan(TableName='StateTable')\n",
            "scan is called outside of an invocation",
        ),
        ("state = 5\n", "functions.py has no function 'state'; its functions are: map, reduce"),
        (
            "def state(event):\n    pass\n",
            "state of functions.py takes (event); Lambda calls a handler with two arguments",
        ),
    ],
)
def test_a_module_that_cannot_play_is_refused(module: str, message: str, tmp_path: Path) -> None:
    assert message in output_of(module + REST, tmp_path)


@pytest.mark.parametrize(
    "module", ["while True:\n    pass\n", "def state(event, context):\n    while True:\n        pass\n"]
)
def test_a_loop_without_an_end_is_ended(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "SandboxGuard", partial(SandboxGuard, 0.2))
    assert "has computed for 0 s" in output_of(module + REST, tmp_path)


@full_only("10 s of a loop")
def test_a_loop_of_calls_runs_into_lambdas_timeout(tmp_path: Path) -> None:
    start = after(1).index("def state")
    endless = "def state(event, context):\n    while True:\n        dynamodb.scan(TableName=STATE_TABLE)\n"
    results = play(after(1)[:start] + endless + REST, tmp_path, THREE)
    assert points(results) == [0]
    assert "was still at work after 10 s" in hints_of(results)


def test_totals_have_to_be_where_they_are_read(tmp_path: Path) -> None:
    module = changed(after(1), '{"#value": "Value"}', '{"#value": "Total"}')
    assert "has no number 'Value'" in output_of(module, tmp_path)


def test_states_of_another_form_are_allowed_and_only_the_account_knows_less(tmp_path: Path) -> None:
    module = changed(after(3), '"Hierarchy": {"M": labels}', '"Labels": {"M": labels}')
    module = changed(module, 'labels = item["Hierarchy"]["M"]', 'labels = item["Labels"]["M"]')
    assert points(play(module, tmp_path, TWO)) == [100]
    lost = changed(after(1), '"Hierarchy": {"M": labels}', '"Labels": {"M": labels}')
    lost = changed(lost, 'labels = item["Hierarchy"]["M"]', 'labels = item["Labels"]["M"]')
    results = play(lost, tmp_path, THREE, GameRules(400, 0), 2)
    assert points(results) == [0, 0]
    account = results[0].scored[0].played.account
    assert account is not None
    assert account.causes == ()
    assert "lab 2, step 1" in hints_of(results)


def test_what_is_printed_goes_to_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    play(
        changed(
            after(1),
            "    for message in messages(event):\n",
            "    print('here')\n    for message in messages(event):\n",
        ),
        tmp_path,
        THREE,
    )
    captured = capsys.readouterr()
    assert "here" in captured.err
    assert not captured.out


@full_only("four rounds of two players, 4 s")
def test_the_workshops_own_handlers_do_as_its_player_does(tmp_path: Path) -> None:
    handlers = "oncefold_workshop.pipelines.handlers:state_after,map_after,reduce_after"
    game = Game(1, (entry(handlers, tmp_path, LearnerOptions(hinted=False)), *choose(["after"])))
    with Playing(game, 1) as team:
        for result in Match(game, GameRules(400, 0, 200), team).rounds(4):
            learners, workshops = result.scored
            assert learners.points == workshops.points
            assert (learners.played.wrong is None) == (workshops.played.wrong is None)
