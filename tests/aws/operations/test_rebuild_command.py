"""`oncefold aws rebuild` on the emulator."""

import re
from pathlib import Path

import pytest

from oncefold.aws.connect import client
from oncefold.aws.functions import layout
from oncefold.aws.functions.layout import DEFINITION_KEY
from oncefold.aws.operations.rebuild import Rebuild
from oncefold.aws.operations.rebuild_item import UnderWay
from oncefold.core.definition_text import to_toml
from oncefold.core.fold import Node, Total
from tests.aws.conftest import Run
from tests.aws.reader.stacks import Filled, node_item, put
from tests.queries.stores import SHOP


@pytest.fixture(autouse=True)
def _no_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    """No function runs here, so there is none to wait for."""
    monkeypatch.setattr(Rebuild, "_wait", lambda *_: None)


def tamper(filled: Filled) -> None:
    put(filled.names.aggregate_table, [node_item(SHOP, Node(0, ("FR", "Paris")), Total(9, (1,)))])


def under_way(filled: Filled, phase: str, owner: str = "", epoch: int = 7) -> None:
    found = client("dynamodb").get_item(TableName=filled.names.aggregate_table, Key=DEFINITION_KEY)["Item"]
    under = UnderWay(epoch, phase, 4, owner, 3)
    put(filled.names.aggregate_table, [{**found, "rebuild": under.attribute}])


def test_wrong_totals_are_made_right(shop_stack: Filled, run: Run) -> None:
    tamper(shop_stack)
    assert run("verify")[0] == 1
    status, out, err = run("rebuild", "--segments", 3)
    assert (status, err) == (0, "")
    first, second, third = out.splitlines()
    assert re.fullmatch(r"the totals are made anew from 5 keys, and live: epoch \d{10}", first)
    assert second == "7 nodes of other epochs deleted"
    assert third == f"to compare every total with the keys: oncefold aws verify --stack {shop_stack.names.stack}"
    status, out, _ = run("verify")
    assert (status, out.splitlines()[-1]) == (0, "exact")
    items = client("dynamodb").scan(TableName=shop_stack.names.aggregate_table)["Items"]
    assert len({layout.node_epoch(item) for item in items}) == 2
    assert "100,002,201.00" in run("query")[1]
    assert "rebuild" not in run("status")[1]


def test_a_dry_run_changes_nothing(shop_stack: Filled, run: Run) -> None:
    before = client("dynamodb").scan(TableName=shop_stack.names.aggregate_table)["Items"]
    status, out, _ = run("rebuild", "--dry-run")
    assert status == 0
    lines = out.splitlines()
    assert lines[0] == "no rebuild is under way"
    assert lines[1].startswith("would bring about 5 keys into a new epoch: about 10 write units")
    assert lines[2].startswith("would wait 940 s for functions")
    assert lines[3].startswith("the timeout of StateLambda is not known, so Lambda's longest is assumed: ")
    assert client("dynamodb").scan(TableName=shop_stack.names.aggregate_table)["Items"] == before
    assert run("rebuild", "--dry-run", "--abandon")[1].splitlines()[1] == "there is none to give up"


def test_one_that_was_interrupted_is_gone_on_with(shop_stack: Filled, run: Run) -> None:
    under_way(shop_stack, "first")
    assert "rebuild    under way, in its phase `first`; to go on with it: oncefold aws rebuild" in run("status")[1]
    shown = run("rebuild", "--dry-run")[1].splitlines()
    assert shown == ["a rebuild is under way, in its phase `first`, epoch 7; nobody drives it", "would go on with it"]
    status, out, _ = run("rebuild")
    assert status == 0
    assert out.splitlines()[0] == "went on with the rebuild that was under way"
    assert "live: epoch 7" in out
    assert run("verify")[0] == 0


def test_one_that_is_given_up(shop_stack: Filled, run: Run) -> None:
    under_way(shop_stack, "first")
    status, out, _ = run("rebuild", "--abandon")
    assert status == 0
    assert "the rebuild is given up; the totals are those from before it" in out
    assert run("verify")[0] == 0
    status, _, err = run("rebuild", "--abandon")
    assert (status, "no rebuild is under way" in err) == (2, True)


def test_one_that_was_rolled_back_is_begun_anew(shop_stack: Filled, run: Run) -> None:
    under_way(shop_stack, "drain")
    status, out, _ = run("rebuild", "--anew")
    assert status == 0
    assert "epoch 7" not in out
    assert run("verify")[0] == 0


NEW = (
    to_toml(SHOP).replace("[measures]\n", 'cities = ["city"]\n[measures]\n') + 'mean = { avg = "amount", scale = 2 }\n'
)


def test_the_totals_of_a_new_definition(shop_stack: Filled, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "new.toml"
    file.write_text(NEW)
    before = run("query", "--depth", "all")[1].splitlines()[:-1]
    status, out, _ = run("rebuild", "--definition", file, "--dry-run")
    assert (status, out.splitlines()[0]) == (0, "what each key keeps suffices for the definition")
    assert "  [rollups] were place and are now place, cities" in out
    assert run("query", "--depth", "all")[1].splitlines()[:-1] == before
    status, out, err = run("rebuild", "--definition", file)
    assert (status, err) == (0, "")
    last = f"this is its definition now; give it to the functions, too: oncefold aws deploy {file}"
    assert out.splitlines()[-1] == last
    assert run("verify")[1].splitlines()[-1] == "exact"
    query = run("query", "--rollup", "cities", "--depth", "all", "--format", "csv")[1]
    assert "cities,Austin,1,Austin,1,0,100000000.01,100000000.01" in query
    assert run("explain", "Austin", "--rollup", "cities")[0] == 0
    assert run("conflicts")[0] == 0


def test_a_definition_that_keys_do_not_suffice_for_is_refused(shop_stack: Filled, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "new.toml"
    file.write_text(NEW.replace('"city"]\n[measures', '"channel"]\n[measures'))
    for options in ((), ("--dry-run",)):
        status, out, err = run("rebuild", "--definition", file, *options)
        assert (status, out) == (2, "")
        assert "cities: keys are kept without channel; the labels of a key are country, city" in err
        assert "as a stack of its own" in err
    status, _, err = run("rebuild", "--definition", file, "--abandon")
    assert (status, "--abandon gives a rebuild up" in err) == (2, True)
    assert shop_stack.states


def test_what_excludes_each_other(shop_stack: Filled, run: Run) -> None:
    status, _, err = run("rebuild", "--anew", "--abandon")
    assert (status, "give one of them" in err) == (2, True)
    assert shop_stack.states


def test_ctrl_c_says_that_nothing_is_lost(shop_stack: Filled, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Rebuild, "_drain", interrupt)
        status, out, err = run("rebuild")
    assert (status, out) == (130, "")
    assert err.strip() == "interrupted; nothing is lost: the same command goes on where it was"
    status, out, _ = run("rebuild")
    assert (status, out.splitlines()[0]) == (0, "went on with the rebuild that was under way")
    assert run("verify")[0] == 0
    assert shop_stack.states
