"""A session on a terminal, as a person has it: what each command shows, word for word, in colour and without."""

import re
from pathlib import Path

import pytest

from tests.tools.sizes import in_full
from tests.watch.terminal import Terminal

PIPELINE = """\
name = "orders"
[event]
key = "order"
version = "version"
[rollups]
by_country = ["country", "channel"]
[measures]
amount = { sum = "amount", scale = 2 }
"""
EVENTS = """\
{"order": "A-1", "version": 1, "country": "DE", "channel": "shop", "amount": 19.90}
{"order": "A-2", "version": 1, "country": "FR", "channel": "web", "amount": 5.05}
{"order": 1.5, "version": 1, "country": "FR", "channel": "web", "amount": 5.05}
{"order": "A-2", "version": 2, "country": "DE", "channel": "web", "amount": 5.00}
"""
ESCAPES = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])")
COLOURS = re.compile(r"\x1b\[(?:[0-9]+;)*(?:3[0-9]|4[0-9]|9[0-7])(?:;[0-9]+)*m")
COMMIT = re.compile(r"commit 1, [0-9T:.-]+Z")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "orders.toml").write_text(PIPELINE)
    (tmp_path / "orders.jsonl").write_text(EVENTS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shown(*arguments: str, status: int = 0) -> list[str]:
    """The lines that a command leaves on a terminal of 100 columns."""
    with Terminal(*arguments, columns=100) as terminal:
        assert terminal.end() == status, terminal.written
        text = ESCAPES.sub("", terminal.written).replace("\r\n", "\n")
    lines = [line.rpartition("\r")[2].rstrip() for line in text.split("\n")]
    return [COMMIT.sub("commit 1, TIME", line) for line in lines if line.strip()]


@pytest.mark.usefixtures("folder")
def test_a_session() -> None:
    run = shown("run", "orders.toml", "orders.jsonl")
    assert re.sub(r"; [0-9.]+ s, [0-9,]+ events/s", "", run[-3]) == (
        "oncefold: 4 events: 3 accepted, 1 rejected, 100 % of 328 B, commit 1"
    )
    assert run[-2:] == [
        "oncefold: to see the rejects: oncefold rejects list --store orders.db",
        "oncefold: to see the totals: oncefold query --store orders.db",
    ]
    assert [line.split() for line in shown("query", "--depth", "all") if "─" not in line] == [
        ["by_country", "count", "amount"],
        ["(root)", "2", "24.90"],
        ["DE", "2", "24.90"],
        ["shop", "1", "19.90"],
        ["web", "1", "5.00"],
        ["as", "of", "commit", "1,", "TIME"],
    ]
    assert shown("explain", "DE/web")[-2:] == [
        "The one key that counts here is the total exactly.",
        "as of commit 1, TIME",
    ]
    assert shown("rejects")[-2:] == ["1 rejected event.", "as of commit 1, TIME"]
    assert shown("verify")[:2] == ["compared 6 nodes with 2 keys at commit 1, TIME", "exact"]
    assert shown("query", "nowhere", status=2) == ["oncefold: there is no node nowhere: at the top there is DE, FR"]
    assert shown("run", "orders.toml", "orders.jsonl", "--store", "/proc/orders.db", status=2) == [
        "oncefold: /proc/orders.db: the folder /proc takes no new files; name a store in another folder"
    ]


@pytest.mark.parametrize(
    "command", [["query"], *in_full("1 s each", ["check", "orders.toml"], ["status"], ["--help"], ["rejects"])]
)
@pytest.mark.usefixtures("folder")
def test_no_color_is_heeded(monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    shown("run", "orders.toml", "orders.jsonl")
    monkeypatch.setattr("tests.watch.terminal._LEFT_OUT", frozenset({"COLUMNS", "LINES"}))
    monkeypatch.setenv("NO_COLOR", "1")
    with Terminal(*command) as terminal:
        assert terminal.end() == 0
        assert not COLOURS.search(terminal.written), terminal.written
