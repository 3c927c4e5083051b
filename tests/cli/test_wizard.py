"""`oncefold init` on a terminal: questions with a guess at each answer, what is refused, and leaving."""

from contextlib import suppress
from pathlib import Path

import pytest

from oncefold.pipeline_file import load_pipeline
from tests.tools.sizes import full_only
from tests.watch.terminal import Terminal

ORDERS = """\
order,version,at,country,channel,amount,fee
A-1,1,2021-03-22T09:00:00Z,DE,shop,19.90,1
A-2,1,2021-03-22T09:01:00Z,DE,web,5.05,2
A-3,1,2021-03-22T09:02:00Z,FR,shop,12.50,1
A-3,2,2021-03-22T09:03:00Z,FR,web,0.10,2
"""


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    path = tmp_path / "orders.csv"
    path.write_text(ORDERS)
    return path


def answer(terminal: Terminal, prompt: str, text: str) -> None:
    """Wait until it asks this, after all that was answered, and answer."""
    before = getattr(terminal, "answered", 0)
    terminal.until(lambda: prompt in (asked := terminal.written[before:]) and asked.rstrip().endswith(":"), prompt)
    terminal.answered = len(terminal.written)  # type: ignore[attr-defined]
    terminal.press(f"{text}\n")


def test_every_guess_accepted_is_the_guess_of_the_file(tmp_path: Path, orders: Path) -> None:
    pipeline = tmp_path / "asked.toml"
    with Terminal("init", pipeline) as terminal:
        answer(terminal, "File with some of your events", str(orders))
        for prompt in ("Key: what an event is about [order]", "[version]", "[country, channel]", "[amount, fee]"):
            answer(terminal, prompt, "")
        assert terminal.end() == 0
        assert f"oncefold check {pipeline} --sample {orders}" in " ".join(terminal.written.split())
    with Terminal("init", tmp_path / "guessed.toml", "--from", orders) as terminal:
        assert terminal.end() == 0
        assert "Key" not in terminal.written, "--from asks nothing"
    assert load_pipeline(pipeline).fingerprint == load_pipeline(tmp_path / "guessed.toml").fingerprint


def test_answers_are_corrections_and_wrong_ones_are_asked_again(tmp_path: Path, orders: Path) -> None:
    pipeline = tmp_path / "orders.toml"
    with Terminal("init", pipeline) as terminal:
        answer(terminal, "File with some of your events", "nowhere.csv")
        answer(terminal, "nowhere.csv does not exist; another file", str(orders))
        answer(terminal, "Key", "ordr")
        terminal.until(lambda: "there is no field ordr; there are order, version" in terminal.written, "the reason")
        answer(terminal, "Key", "order, channel")
        answer(terminal, "Version", "-")
        answer(terminal, "Levels", "channel")
        answer(terminal, "Sums", "country")
        terminal.until(lambda: "country holds what is no number" in terminal.written, "the reason")
        answer(terminal, "Sums", "fee, version")
        assert terminal.end() == 0
    definition = load_pipeline(pipeline)
    assert [str(field) for field in definition.key] == ["order", "channel"]
    assert definition.version is None
    assert [str(level.field) for level in definition.rollups[0].levels] == ["channel"]
    assert [measure.name for measure in definition.measures] == ["fee", "version"]


@full_only("2 s")
def test_no_file_is_the_commented_example_and_ctrl_c_writes_nothing(tmp_path: Path) -> None:
    pipeline = tmp_path / "pipeline.toml"
    with Terminal("init", pipeline) as terminal:
        terminal.until(lambda: "File with some of your events" in terminal.written, "the question")
        for _ in range(6):  # a signal just before the call that reads is seen after it only
            terminal.press("\x03")
            with suppress(AssertionError):
                terminal.until(lambda: terminal.process.poll() is not None, "the command to end", 10)
                break
        assert terminal.end() == 130
    assert not pipeline.exists()
    with Terminal("init", pipeline) as terminal:
        answer(terminal, "File with some of your events", "")
        assert terminal.end() == 0
    assert load_pipeline(pipeline).name == "risk"
    with Terminal("init", pipeline) as terminal:
        assert terminal.end() == 2
        assert "exists" in terminal.written, "said before a person answers anything"
