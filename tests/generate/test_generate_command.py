"""The command line: options, errors, pace, interrupts and pipes; no test waits on real time."""

import json
import os
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

from oncefold.cli.generate import SystemClock
from oncefold.cli.generate import generate as command
from oncefold.generate import Workload, generate, truth


class ManualClock:
    """Time that passes only in sleep; it can press Ctrl-C at a given time."""

    def __init__(self, interrupt_at=None):
        self.time = 1_700_000_000.0
        self.began = self.time
        self.interrupt_at = interrupt_at

    def sleep(self, seconds):
        assert seconds > 0
        self.time += seconds
        if self.interrupt_at is not None and self.time - self.began >= self.interrupt_at:
            self.interrupt_at = None
            signal.raise_signal(signal.SIGINT)

    @property
    def clock(self):
        return SystemClock(wall=lambda: self.time, monotonic=lambda: self.time, sleep=self.sleep)


def run(*arguments, clock=None):
    return CliRunner().invoke(command, [str(a) for a in arguments], obj=(clock or ManualClock()).clock)


def text(**knobs):
    return b"".join(generate(Workload(**knobs)))


def test_standard_output_is_the_default():
    result = run("--count", 100, "--duplicates", 0.1, "--seed", 5)
    assert result.exit_code == 0
    assert result.stdout_bytes == text(count=100, duplicates=0.1, seed=5)
    assert result.stderr == ""


def test_a_file_and_its_truth(tmp_path):
    events, right = tmp_path / "events.jsonl", tmp_path / "truth.json"
    result = run("--count", "1_000", "--deletes", 0.1, events, "--truth", right)
    assert result.exit_code == 0
    assert result.stdout == ""
    assert result.stderr.startswith("1,000 events in 0.0 s: ")
    assert events.read_bytes() == text(count=1_000, deletes=0.1)
    assert json.loads(right.read_text()) == truth(Workload(count=1_000, deletes=0.1))


def test_the_workshop_and_its_exceptions():
    hard = {"duplicates": 0.125, "modifications": 0.02, "out_of_order": 0.01}
    assert run("--workshop").stdout_bytes == text(count=10_000, **hard)
    assert run("--workshop", "--count", 400).stdout_bytes == text(count=400, **hard)
    assert run("--workshop", "--keys", 400).stdout_bytes == text(keys=400, **hard)


@pytest.mark.parametrize(("name", "start"), [("e.csv", b"TradeID,"), ("e.parquet", b"PAR1"), ("e.gz", b"\x1f\x8b")])
def test_the_name_chooses_the_format(tmp_path, name, start):
    assert run("--count", 10, tmp_path / name).exit_code == 0
    assert (tmp_path / name).read_bytes().startswith(start)


def test_the_format_can_be_said(tmp_path):
    assert run("--count", 10, "--format", "csv").stdout.startswith("TradeID,")
    assert run("--count", 10, "--format", "parquet").stdout_bytes.endswith(b"PAR1")


def test_a_rate_paces_the_stream_and_its_timestamps():
    clock = ManualClock()
    result = run("--rate", 100, "--count", 1_000, "--start", "now", clock=clock)
    times = [json.loads(line)["Timestamp"] for line in result.stdout.splitlines()]
    assert clock.time - clock.began == pytest.approx(10)
    assert times[0] == clock.began
    assert times[-1] == pytest.approx(clock.began + 9.99)


@pytest.mark.parametrize("name", ["e.jsonl", "e.jsonl.zst", "e.parquet"])
def test_an_interrupt_ends_with_a_whole_event_and_the_truth_about_it(tmp_path, name):
    usual = signal.getsignal(signal.SIGINT)
    result = run(
        *("--rate", 100, "--count", 10_000, "--modifications", 0.5, tmp_path / name, "--truth", tmp_path / "t"),
        clock=ManualClock(interrupt_at=3),
    )
    assert result.exit_code == 130
    right = json.loads((tmp_path / "t").read_text())
    written = right["totals"]["events"]
    assert 290 <= written < 300
    assert result.stderr == f"stopped: {written:,} events written\n"
    knobs = {"count": 10_000, "modifications": 0.5, "spacing": 10_000_000}
    assert right == truth(Workload(**knobs), written)
    if name == "e.jsonl":
        assert (tmp_path / name).read_bytes() == b"".join(text(**knobs).splitlines(keepends=True)[:written])
    assert signal.getsignal(signal.SIGINT) is usual


@pytest.mark.parametrize("start", ["1616413258.8997", "2021-03-22T11:40:58.8997Z", "2021-03-22T12:40:58.8997+01:00"])
def test_a_start_can_be_written_in_many_ways(start):
    assert run("--count", 3, "--start", start).stdout_bytes == text(count=3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--duplicates", 0.6, "--deletes", 0.6], "the shares add up to 1.2"),
        (["--start", "yesterday"], "--start 'yesterday' is not a time: give seconds"),
        (["--start", "nan"], "--start 'nan' is not a time"),
        (["--start", "-1e99999999"], "is not a time"),
        (["--start", "0"], "the start is out of range"),
        (["missing/e.jsonl"], "there is no directory 'missing': make it first"),
        (["--truth", "missing/t"], "there is no directory 'missing'"),
        (["same", "--truth", "same"], "give the truth a file of its own"),
        (["e.parquet.gz"], "without .gz or .zst"),
    ],
)
def test_errors_are_one_line_that_says_what_to_do(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has /dev/full")  # noqa: PTH110
def test_a_full_disk_is_an_error_of_one_line():
    result = run("--count", 10, "/dev/full")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: the output stopped: ")
    assert result.stderr.count("\n") == 1


def test_a_reader_that_leaves_ends_the_run_quietly():
    code = "from oncefold.cli.generate import generate; generate()"
    with subprocess.Popen(
        [sys.executable, "-c", code, "--count", "100000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        os.read(process.stdout.fileno(), 10)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_help_shows_examples():
    result = run("--help")
    assert "oncefold generate --workshop" in result.stdout
    assert "--out-of-order" in result.stdout
