"""`oncefold redefine` from the outside: what it prints, its statuses, and a real process killed at any moment."""

import json
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from oncefold.cli.main import main
from oncefold.queries.store_reader import StoreReader
from oncefold.store.check import check_store
from tests.tools.sizes import sized

OLD = """
name = "shop"
keep_events = true
[event]
key = "id"
version = "v"
[rollups]
by_kind = ["kind"]
[measures]
amount = { sum = "amount", scale = 2 }
"""
NEW = OLD.replace("[rollups]", "where = \"kind <> 'x'\"\n[rollups]").replace('["kind"]', '["kind", "place"]') + (
    'tax = { sum = "tax", scale = 1 }\n'
)


def line(number: int, **other: object) -> str:
    found = {"id": f"k{number}", "v": 1, "kind": "xy"[number % 2], "place": "p", "amount": "1.50", "tax": 0.1} | other
    return json.dumps(found) + "\n"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("old.toml").write_text(OLD)
    Path("new.toml").write_text(NEW)
    Path("events.jsonl").write_text("".join(map(line, range(9))) + line(9, tax="none"))
    assert main(["run", "old.toml", "events.jsonl", "--store", "shop.db", "--quiet"]) == 0
    return tmp_path / "shop.db"


def test_it_says_what_changed(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["redefine", "new.toml", "--store", "shop.db", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "[measures] were amount and are now amount, tax" in shown
    assert "10 kept events: 4 live, 5 filtered, 1 rejected" in shown
    assert "by_kind  count 10  amount 15.00" in shown
    assert "by_kind  count 4  amount 6.00  tax 0.4" in shown
    assert "1 x field tax: ... is not a number" in shown
    assert "nothing has changed" in shown
    assert main(["redefine", "new.toml", "--store", "shop.db", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["commit"] == 2
    assert found["after"] == {"by_kind": {"count": 4, "measures": {"amount": "6.00", "tax": "0.4"}}}
    assert main(["query", "--store", "shop.db", "--format", "json", "--as-of", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"][0]["measures"] == {"amount": "15.00"}
    assert main(["history", "k1", "--store", "shop.db", "--as-of", "1"]) == 0
    assert "k1 counts at version 1 in y" in capsys.readouterr().out
    assert main(["history", "k1", "--server", "http://localhost:1", "--as-of", "1"]) == 2
    assert "only for a store" in capsys.readouterr().err
    assert main(["run", "new.toml", "events.jsonl", "--store", "shop.db"]) == 0
    assert "did not change" in capsys.readouterr().err
    assert main(["verify", "--deep", "--store", "shop.db"]) == 0
    assert check_store(store) == []


def test_what_is_wrong_is_one_line(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["run", "new.toml", "events.jsonl", "--store", "shop.db"]) == 2
    assert "oncefold redefine PIPELINE --store shop.db" in capsys.readouterr().err
    assert main(["redefine", "old.toml", "--store", "shop.db"]) == 2
    assert "nothing to make anew" in capsys.readouterr().err
    assert main(["redefine", "new.toml", "--store", "none.db"]) == 2
    assert "no such store" in capsys.readouterr().err
    assert main(["redefine", "new.toml", "--stack", "some"]) == 2
    assert "a stack keeps no whole events" in capsys.readouterr().err
    assert store.exists()


def test_a_real_process_is_killed_at_any_moment(store: Path) -> None:
    """Whenever it dies, the store is the old one or the new one, whole; and another try ends it."""
    Path("more.jsonl").write_text("".join(map(line, range(10, sized(10_000, 30_000)))))
    assert main(["run", "old.toml", "more.jsonl", "--store", "shop.db", "--quiet"]) == 0
    with StoreReader.open(store) as reader:  # a run makes as many commits as its pace asks for
        commit = reader.query().commit.number
    rng, is_new, took, killed = random.Random(1), False, 0.0, 0
    for number in range(sized(3, 40)):
        wanted = "old.toml" if is_new else "new.toml"
        command = [sys.executable, "-m", "oncefold", "redefine", wanted, "--store", str(store)]
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if took:  # the first one is not killed, and says how long it takes
            with suppress(subprocess.TimeoutExpired):
                process.wait(rng.random() * took)
            process.send_signal(signal.SIGKILL)
        status = process.wait()
        assert status in {0, -signal.SIGKILL}
        assert number or status == 0
        took, killed = took or time.monotonic() - began, killed + (status != 0)
        with StoreReader.open(store) as reader:
            assert not reader.verify().rows
            found = reader.query()
            is_new = "tax" in found.node.sums
            now = found.commit.number
        assert now in {commit, commit + 1}
        assert (now > commit) == (is_new == (wanted == "new.toml"))
        assert status != 0 or now > commit
        commit = now
    assert killed
    assert check_store(store) == []


def test_amounts_have_every_digit_and_null_is_a_dash(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fine = 'none = { sum = "nothing", scale = 8, missing = "zero" }\nmean = { avg = "nothing" }\n'
    Path("fine.toml").write_text(OLD + fine)
    capsys.readouterr()
    assert main(["redefine", "fine.toml", "--store", str(store), "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["after"]["by_kind"]["measures"] == {
        "amount": "15.00",
        "none": "0.00000000",
        "mean": None,
    }
    assert main(["redefine", "fine.toml", "--store", str(store), "--dry-run"]) == 0
    assert "by_kind  count 10  amount 15.00  none 0.00000000  mean -" in capsys.readouterr().out
