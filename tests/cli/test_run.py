"""`oncefold run`, as a person uses it: what it reads, what it prints, and how it ends."""

import io
import os
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from oncefold.cli.definition import EXAMPLE
from oncefold.cli.main import main
from oncefold.cli.progress import Reporter
from oncefold.cli.run import StopSignal
from oncefold.core.fold import Outcome
from oncefold.engine.run import Committer, RunProgress
from oncefold.generate import Workload, arrow_table, generate, plan, truth, write
from oncefold.sources.blocks import Finding
from oncefold.store.check import check_store
from oncefold.store.reader import StoreFile
from tests.tools.processes import COMMAND, Command
from tests.tools.sizes import full_only, sized
from tests.tools.waiting import until

pty = pytest.importorskip("pty")

OTHER_SIGNAL = full_only("as the signal before it, 7 s")
WORKLOAD = Workload(count=3_000, duplicates=0.1, modifications=0.3, out_of_order=0.05, deletes=0.05, seed=3)
PLACE = '{"RiskType": "PV", "TradeDesk": "x", "Region": "y"}'


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a pipeline file."""
    monkeypatch.chdir(tmp_path)
    Path("pipeline.toml").write_text(EXAMPLE)
    return tmp_path


def events(*keys: object) -> str:
    return "".join(f'{{"TradeID": "{key}", "Version": 1, "Value": 1.25, "Hierarchy": {PLACE}}}\n' for key in keys)


class User:
    """Types commands and reads what they say."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def types(self, *arguments: object, status: int = 0) -> list[str]:
        """Run `oncefold` here; what it prints on stderr, line by line, without `oncefold: `."""
        self._capsys.readouterr()
        try:
            found = main(list(map(str, arguments)))
        except SystemExit as end:
            found = int(end.code or 0)
        self.stdout, stderr = self._capsys.readouterr()
        assert found == status, stderr
        assert "Traceback" not in stderr
        return [line.removeprefix("oncefold: ") for line in stderr.splitlines()]

    def runs(self, *arguments: object, status: int = 0) -> list[str]:
        return self.types("run", "pipeline.toml", *arguments, status=status)

    def is_refused(self, *arguments: object) -> str:
        """The command fails; the one line of its error."""
        (line,) = self.types("run", *arguments, status=2)
        return line


@pytest.fixture
def user(capsys: pytest.CaptureFixture[str]) -> User:
    return User(capsys)


def counted(store: str | Path = "risk.db") -> Counter[Outcome]:
    """What the store counted, once it is found exact."""
    with StoreFile.open(store) as reader:
        assert reader.verify().differences == []
        return +Counter(reader.status().counts)


def nodes(store: str | Path = "risk.db") -> dict[str, dict[str, object]]:
    with StoreFile.open(store) as reader:
        rows = reader.totals("risk").rows
    return {row.path: {"count": row.count, "value": f"{row.sums[0] // 100}.{row.sums[0] % 100:02d}"} for row in rows}


# What it reads


def test_files_folders_and_patterns_in_every_form(here: Path, user: User) -> None:
    """Six copies of one stream: every event counts once."""
    for name in ("a.jsonl", "more/b.csv", "more/deep/c.jsonl.gz", "d-1.csv.zst", "d-2.parquet"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        write(WORKLOAD, name)
    with (
        pa.OSFile("e.arrow", "wb") as file,
        pa.ipc.new_file(file, arrow_table(WORKLOAD, next(plan(WORKLOAD))).schema) as out,
    ):
        for block in plan(WORKLOAD):
            out.write_table(arrow_table(WORKLOAD, block))
    said = user.runs("a.jsonl", "more", "d-*", "e.arrow")
    assert re.match(r"18,000 events: [0-9,]+ accepted, [0-9,]+ duplicate, [0-9,]+ stale", said[-2])
    assert ", 100 % of " in said[-2]
    assert said[-1] == "to see the totals: oncefold query --store risk.db"
    right = truth(WORKLOAD)
    assert nodes() == right["nodes"]
    found = counted()
    assert found.total() == 6 * 3_000
    assert found[Outcome.INSERTED] + found[Outcome.CORRECTED] + found[Outcome.DELETED] == right["outcomes"]["accepted"]


def test_standard_input(here: Path) -> None:
    data = b"".join(generate(WORKLOAD))
    command = [*COMMAND, "run", "pipeline.toml", "-", "--store", "piped.db"]
    done = subprocess.run(command, input=data, capture_output=True, check=True, timeout=60)
    assert done.stdout == b""
    assert b"3,000 events" in done.stderr
    assert nodes("piped.db") == truth(WORKLOAD)["nodes"]


def test_a_second_run_reads_nothing_and_a_grown_file_is_continued(here: Path, user: User) -> None:
    Path("a.jsonl").write_text(events(1, 2))
    Path("b.jsonl").write_text(events(3))
    assert "3 events: 3 accepted" in user.runs("a.jsonl", "b.jsonl")[-2]
    said = user.runs("a.jsonl", "b.jsonl")
    assert said[:2] == ["2 files had been read before and did not change", "0 events: 0 accepted"]
    with Path("a.jsonl").open("a") as file:
        file.write(events(4) + events(4))
    said = user.runs("a.jsonl", "b.jsonl")
    assert said[0] == "1 file had been read before and did not change"
    assert said[1].startswith("2 events: 1 accepted, 1 duplicate")
    assert counted() == {Outcome.INSERTED: 4, Outcome.DUPLICATE: 1}


@pytest.mark.parametrize(("content", "word"), [(events(1), "truncated"), (events(5, 6, 7, 8), "replaced")])
def test_a_file_that_is_not_what_was_read_is_reported(here: Path, user: User, content: str, word: str) -> None:
    Path("a.jsonl").write_text(events(1, 2, 3))
    user.runs("a.jsonl")
    Path("a.jsonl").write_text(content)
    Path("b.jsonl").write_text(events(9))
    said = user.runs("a.jsonl", "b.jsonl", status=1)
    assert f"{here}/a.jsonl was {word}" in said[0]
    assert "--reread" in said[0]
    assert said[1].startswith("1 event: 1 accepted")
    assert counted() == {Outcome.INSERTED: 4}
    read_again = user.runs("a.jsonl", "b.jsonl", "--reread")
    assert not any(word in line for line in read_again)
    assert counted()[Outcome.INSERTED] == (4 if word == "truncated" else 8)
    assert user.runs("a.jsonl", "b.jsonl")[1].startswith("0 events")


def test_a_damaged_file_counts_as_far_as_it_can_be_read(here: Path, user: User) -> None:
    write(WORKLOAD, "a.jsonl.gz")
    whole = Path("a.jsonl.gz").read_bytes()
    Path("a.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    Path("b.jsonl").write_text(events(9))
    said = user.runs("a.jsonl.gz", "b.jsonl", status=1)
    assert "it ends in the middle of a gzip member" in said[0]
    assert not any("gzip" in line for line in said[1:])
    assert 100 < counted().total() < 3_000
    Path("a.jsonl.gz").write_bytes(whole)
    user.runs("a.jsonl.gz", "b.jsonl")
    assert counted().total() == 3_001
    assert nodes()["Delta"] == truth(WORKLOAD)["nodes"]["Delta"]


def test_rejects_are_counted_and_can_be_seen_and_redriven(here: Path, user: User) -> None:
    Path("a.jsonl").write_text(events(1) + "nonsense\n" + events(2).replace('"Region": "y"', '"City": "z"'))
    said = user.runs("a.jsonl")
    assert any("3 events: 1 accepted, 2 rejected" in line for line in said)
    assert [line for line in said if line.startswith("rejected: ")]
    (command,) = (line.removeprefix("to see the rejects: ") for line in said if line.startswith("to see the rejects"))
    assert command == "oncefold rejects list --store risk.db"
    user.types(*shlex.split(command)[1:])
    assert "nonsense" in user.stdout
    widened = EXAMPLE.replace('"Hierarchy.Region"]', '{ field = "Hierarchy.Region", missing = "(none)" }]', 1)
    Path("pipeline.toml").write_text(widened)
    user.types("rejects", "redrive", "pipeline.toml", "--store", "risk.db")
    assert user.stdout == "2 events read again: 1 accepted, 1 rejected\n"
    assert nodes()["PV/x/(none)"] == {"count": 1, "value": "1.25"}


def test_the_store_can_be_named_by_the_environment(here: Path, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONCEFOLD_STORE", "other.db")
    Path("a.jsonl").write_text(events(1))
    user.runs("a.jsonl")
    assert counted("other.db") == {Outcome.INSERTED: 1}
    assert not Path("risk.db").exists()


def test_quiet_prints_only_errors(here: Path, user: User) -> None:
    Path("a.jsonl").write_text(events(1, 2) + "nonsense\n")
    assert user.runs("a.jsonl", "--quiet") == []
    Path("a.jsonl").write_text(events(1))
    (only,) = user.runs("a.jsonl", "--quiet", status=1)
    assert "was truncated" in only


def test_help_shows_examples_and_what_the_status_means(user: User) -> None:
    user.types("run", "--help")
    for words in ("--follow", "--reread", "--retention", "Examples:", "Exit status: 0", "130 Ctrl-C"):
        assert words in user.stdout


# What cannot be


def _text_file() -> None:
    Path("risk.db").write_text("this is no database, but long enough to be looked at " * 100)


def _other_database() -> None:
    with sqlite3.connect("risk.db") as connection:
        connection.execute("CREATE TABLE cats(name)")
    connection.close()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["pipeline.toml", "missing.jsonl"], "missing.jsonl: there is no such file or directory"),
        (["pipeline.toml", "none-*.jsonl"], "none-*.jsonl: no file matches this pattern"),
        (["pipeline.toml", "empty"], "empty: no file below this directory"),
        (["pipeline.toml", "notes"], "notes: its name does not say which format it has"),
        (["missing.toml", "a.jsonl"], "missing.toml: no such file; write a commented example with: oncefold init"),
        (["wrong.toml", "a.jsonl"], "wrong.toml"),
        (["pipeline.toml", "a.jsonl", "--format", "xml"], "there is no format 'xml'"),
        (["pipeline.toml", "a.jsonl", "--delimiter", ";;"], "a delimiter is one ASCII character"),
        (["pipeline.toml", "a.jsonl", "--retention", "soon"], "--retention:"),
        (["pipeline.toml", "a.jsonl", "--store", "no/where.db"], "no/where.db: there is no folder no"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing_behind(
    here: Path, user: User, arguments: list[str], words: str
) -> None:
    Path("a.jsonl").write_text(events(1))
    Path("notes").write_text(events(1))
    Path("empty").mkdir()
    Path("wrong.toml").write_text(EXAMPLE.replace("key =", "kee ="))
    assert words in user.is_refused(*arguments)
    assert not list(here.glob("*.db*"))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_text_file, "risk.db: opening the store: this is not a store, nor any SQLite database"),
        (_other_database, "risk.db: this is a database of another application"),
        (lambda: Path("risk.db").mkdir(), "'risk.db' is a directory"),
    ],
)
def test_what_is_no_store_is_left_alone(here: Path, user: User, make: Callable[[], None], words: str) -> None:
    make()
    before = Path("risk.db").read_bytes() if Path("risk.db").is_file() else b""
    Path("a.jsonl").write_text(events(1))
    said = " ".join(user.types("run", "pipeline.toml", "a.jsonl", "--store", "risk.db", status=2))
    assert words in said
    assert Path("risk.db").is_dir() or Path("risk.db").read_bytes() == before


def test_another_definition_is_refused_with_a_remedy(here: Path, user: User) -> None:
    Path("a.jsonl").write_text(events(1))
    user.runs("a.jsonl")
    Path("pipeline.toml").write_text(EXAMPLE.replace("scale = 2", "scale = 3", 1))
    said = user.runs("a.jsonl", status=2)
    assert "its totals were made by a definition with another meaning" in said[0]
    assert any("scale" in line and "3" in line for line in said)
    assert "name a new store file" in " ".join(said)
    assert counted() == {Outcome.INSERTED: 1}


def test_a_second_writer_is_refused(here: Path, user: User) -> None:
    Path("a.jsonl").write_text(events(1))
    with Command(here, "run", "pipeline.toml", "a.jsonl", "--follow") as first:
        _until_committed(first, 1)
        line = user.is_refused("pipeline.toml", "a.jsonl")
        assert f"risk.db: process {first.process.pid} is writing this store" in line
        assert first.running
        first.send(signal.SIGTERM)
        assert first.wait() == 0, first.words
    user.runs("a.jsonl")


@full_only("1 s")
def test_a_folder_without_permission(here: Path) -> None:
    Path("a.jsonl").write_text(events(1))
    locked = here / "locked"
    locked.mkdir(mode=0o555)
    prefix: list[str] = []
    if os.geteuid() == 0:
        prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
        if shutil.which("setpriv") is None:
            pytest.skip("root may write everywhere, and there is no setpriv to take that away")
    command = (*prefix, *COMMAND)
    with Command(here, "run", "pipeline.toml", "a.jsonl", "--store", locked / "risk.db", command=command) as run:
        assert run.wait() == 2
    (line,) = run.lines
    assert "no permission to write in the folder" in line


# How it ends


def _until_committed(run: Command, number: int, store: str = "risk.db") -> None:
    """Wait until so many events are durable."""

    def committed() -> bool:
        assert run.running, run.words
        with suppress(sqlite3.OperationalError):
            connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
            try:
                return bool(connection.execute("SELECT sum(events) FROM counters").fetchone()[0] == number)
            finally:
                connection.close()
        return False

    until(committed, f"{number} events")


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=OTHER_SIGNAL)])
def test_a_stopped_follower_prints_the_command_that_continues(here: Path, number: signal.Signals) -> None:
    folder = here / "it's here"
    folder.mkdir()
    (folder / "a.jsonl").write_text(events(1))
    with Command(here, "run", "pipeline.toml", folder, "--follow", "--retention", "forever") as run:
        _until_committed(run, 1)
        with (folder / "a.jsonl").open("a") as file:
            file.write(events(2, 3))
        (folder / "b.jsonl").write_text(events(4))
        _until_committed(run, 4)
        run.send(number)
        assert run.wait() == 0, "to be stopped is how a follower ends"
    assert run.lines[-3].startswith("oncefold: stopping: ") or "stopping" not in run.words
    assert run.lines[-2].startswith("oncefold: 4 events: 4 accepted")
    said, command = run.lines[-1].split("To go on: ")
    assert said == "oncefold: stopped; nothing is lost. "
    words = shlex.split(command)
    assert words == ["oncefold", "run", "pipeline.toml", str(folder), "--follow", "--retention", "forever"]
    with (folder / "a.jsonl").open("a") as file:
        file.write(events(5))
    with Command(here, *words[1:]) as again:
        _until_committed(again, 5)
        again.send(number)
        assert again.wait() == 0
    assert "1 event: 1 accepted" in again.words
    assert check_store("risk.db") == []


@pytest.mark.parametrize(
    ("number", "status"), [pytest.param(signal.SIGINT, 130, marks=OTHER_SIGNAL), (signal.SIGTERM, 143)]
)
def test_the_status_shows_that_a_run_was_stopped_before_the_end(
    here: Path, number: signal.Signals, status: int
) -> None:
    with Command(here, "run", "pipeline.toml", "-", "--store", "risk.db", stdin=subprocess.PIPE) as run:
        assert run.process.stdin is not None
        run.process.stdin.write(events(1, 2).encode() + b'{"TradeID": "half')
        run.process.stdin.flush()
        _until_committed(run, 2)
        run.send(number)
        assert run.wait() == status
    assert run.lines[-2].startswith("oncefold: 2 events: 2 accepted")
    assert run.lines[-1] == (
        "oncefold: stopped; what is committed stays. A pipe cannot go on: send its events again, each counts once: "
        "oncefold run pipeline.toml - --store risk.db"
    )
    assert counted() == {Outcome.INSERTED: 2}


STOPPED = ((signal.SIGINT, 130), (signal.SIGTERM, 143))


def test_waiting_for_a_writer_is_reported_and_ends_with_an_interrupt(here: Path) -> None:
    Path("a.jsonl").write_text(events(1))
    os.mkfifo("never")
    for number, status in sized(STOPPED[:1], STOPPED):
        with Command(here, "run", "pipeline.toml", "a.jsonl", "never") as run:
            until(lambda: "never: waiting for a writer of this pipe" in run.words, "the words")
            run.send(number)
            assert run.wait() == status
    assert counted() == {Outcome.INSERTED: 1}


_STUCK = """
import sys, threading
from oncefold.cli.progress import reporter_for
from oncefold.cli.run import StopSignal
stop, reporter = StopSignal(), reporter_for(sys.stderr, quiet=False)
with stop.on_signals(), reporter.running(None, stop.event.is_set):
    reporter.report("stuck")
    stop.event.wait()
    reporter.report("stopping")
    threading.Event().wait()
"""
"""A run that never comes to its end."""


def test_a_second_interrupt_ends_it_at_once(here: Path) -> None:
    """Even while it waits for something that does not come."""
    with Command(here, command=[sys.executable, "-c", _STUCK]) as run:
        until(lambda: "stuck" in run.words, "the words")
        run.send(signal.SIGINT)
        until(lambda: "stopping" in run.words, "the words")
        assert run.running
        run.send(signal.SIGINT)
        assert run.wait() == 130


def test_a_signal_while_the_event_is_locked_is_received() -> None:
    """It may come while the main thread begins to wait for the event, or asks for it."""
    stop = StopSignal()
    with stop.on_signals():
        with stop.event._cond:
            signal.raise_signal(signal.SIGINT)
        assert stop.event.wait(10)
    assert stop.signal == signal.SIGINT


@full_only("2 s")
def test_a_run_continues_when_nobody_reads_its_output(here: Path) -> None:
    write(WORKLOAD, "a.jsonl")
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*COMMAND, "run", "pipeline.toml", "a.jsonl"], stderr=writing, check=False, timeout=60)
    os.close(writing)
    assert done.returncode == 0
    assert nodes() == truth(WORKLOAD)["nodes"]


def test_a_limit_on_the_size_of_files_ends_it_cleanly(here: Path, user: User) -> None:
    """The system refuses a write in the middle of a commit, as a quota does."""
    limited = ["sh", "-c", 'ulimit -f 2000 && exec "$@"', "sh", *COMMAND]
    _runs_out_of_room(here, user, "the disk reports an error", command=limited)


@full_only("2 s; a limit of the system is in the short form")
def test_a_full_disk_ends_it_cleanly(here: Path, user: User) -> None:
    """A real one: a file system in memory of two megabytes, in a separate namespace."""
    script = 'mount -t tmpfs -o size=2m tmpfs disk && "$@"; status=$?; cp disk/* .; exit $status'
    alone = ["unshare", "--map-root-user", "--mount"]
    Path("disk").mkdir()
    probe = [*alone, "sh", "-c", "mount -t tmpfs -o size=2m tmpfs disk"]
    if shutil.which("unshare") is None or subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("this system lets nobody mount a file system of one's own")
    said = _runs_out_of_room(
        here, user, "the disk is full", store="disk/risk.db", command=[*alone, "sh", "-c", script, "sh", *COMMAND]
    )
    assert "make room and run again" in said


def _runs_out_of_room(here: Path, user: User, words: str, store: str = "risk.db", **options: Any) -> str:
    """The run ends with this message, what was committed is exact, and with room the next run completes it."""
    workload = Workload(count=150_000, modifications=0.3, seed=5)
    write(workload, "a.jsonl")
    Path("first.jsonl").write_text(events("first"))
    with Command(here, "run", "pipeline.toml", "first.jsonl", "a.jsonl", "--store", store, **options) as run:
        assert run.wait() == 2, run.words
    assert words in run.lines[-1]
    assert "nothing is half-committed, and the last commit is intact" in run.lines[-1]
    assert "Traceback" not in run.words
    assert counted().total() < 150_000
    user.runs("first.jsonl", "a.jsonl", "--store", "risk.db")
    assert counted().total() == 150_001
    assert nodes()["Delta"] == truth(workload)["nodes"]["Delta"]
    assert check_store("risk.db") == []
    return run.lines[-1]


# How it shows itself


class Seconds:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_lines_tell_a_log_what_happens() -> None:
    out, clock = io.StringIO(), Seconds()
    reporter, progress, stop = Reporter(out, monotonic=clock), RunProgress(), [False]
    with reporter.running(1_000_000, lambda: stop[0]):
        for second in range(21):
            clock.now = float(second)
            if second <= 12:
                progress.counts[Outcome.INSERTED] += 10_000
                progress.consumed_bytes += 25_000
            reporter.update(progress)
        progress.findings.append(Finding("s", "rotated", "s is another file now"))
        stop[0] = True
        reporter.update(progress)
        reporter.update(progress)
    assert out.getvalue().splitlines() == [
        "oncefold: 60,000 events: 60,000 accepted; 5.0 s, 12,000 events/s, 15 % of 976.6 KiB",
        "oncefold: 110,000 events: 110,000 accepted; 10.0 s, 11,000 events/s, 28 % of 976.6 KiB",
        "oncefold: 130,000 events: 130,000 accepted; 15.0 s, 8,667 events/s, 32 % of 976.6 KiB",
        "oncefold: s is another file now",
        "oncefold: stopping: what is read is committed first (a second signal ends at once; nothing is lost)",
    ]


@contextmanager
def terminal() -> Iterator[tuple[int, Callable[[], str]]]:
    """A terminal: the end for a program, and what that has written so far."""
    outer, inner = pty.openpty()
    os.set_blocking(outer, False)
    seen = bytearray()

    def screen() -> str:
        with suppress(OSError):  # nothing there now, or nobody at the other end any more
            while data := os.read(outer, 65_536):
                seen.extend(data)
        return seen.decode()

    try:
        yield inner, screen
    finally:
        os.close(outer)
        with suppress(OSError):
            os.close(inner)


def test_a_terminal_shows_a_bar_that_goes_away(here: Path) -> None:
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "150", "LINES": "24"}
    options: dict[str, Any] = {"stdin": subprocess.PIPE, "env": environment}
    with terminal() as (inner, screen), Command(here, "run", "pipeline.toml", "-", stderr=inner, **options) as run:
        assert run.process.stdin is not None
        run.process.stdin.write(events(*range(120)).encode())
        run.process.stdin.flush()
        shown = until(lambda: (found := screen()) and "120 accepted" in found and found, "the bar")
        assert "events/s" in shown
        assert "━" in shown
        assert "\x1b[?25l" in shown  # the cursor is hidden
        run.process.stdin.close()
        assert run.wait() == 0
        end = screen().rsplit("\x1b[?25h", 1)[1]  # and back again
    assert "120 events: 120 accepted" in end
    assert "to see the totals: oncefold query --store risk.db" in end
    assert "\x1b" not in end.replace("\x1b[0m", "").replace("\x1b[2K", "").replace("\x1b[1A", "")


def test_ending_at_once_gives_the_cursor_back(here: Path) -> None:
    environment = {**os.environ, "TERM": "xterm"}
    with (
        terminal() as (inner, screen),
        Command(here, command=[sys.executable, "-c", _STUCK], stderr=inner, env=environment) as run,
    ):
        until(lambda: "\x1b[?25l" in screen(), "the bar")
        run.send(signal.SIGINT)
        until(lambda: "stopping" in screen(), "the words")
        run.send(signal.SIGINT)
        assert run.wait() == 130
        assert screen().endswith("\x1b[?25h")


def test_an_interrupt_before_anything_is_read_says_so(here: Path, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    write(WORKLOAD, "a.jsonl")
    with monkeypatch.context() as patched:
        patched.setattr("oncefold.engine.warmup.warm_up", lambda _: os.kill(os.getpid(), signal.SIGINT))
        said = user.types("run", "pipeline.toml", "a.jsonl", status=130)
    assert said == ["stopped before anything was read; nothing was committed"]
    assert not Path("risk.db").exists()


def test_an_interrupt_after_the_end_of_the_input_changes_nothing(
    here: Path, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(WORKLOAD, "a.jsonl")
    finish = Committer.finish

    def interrupted(committer: Committer) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        finish(committer)

    monkeypatch.setattr(Committer, "finish", interrupted)
    said = user.types("run", "pipeline.toml", "a.jsonl", status=0)
    assert said[-1] == "to see the totals: oncefold query --store risk.db"
    assert nodes() == truth(WORKLOAD)["nodes"]
