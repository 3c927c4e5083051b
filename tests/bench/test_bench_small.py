"""The benchmark at its small size: every case runs and reaches the generator's totals. No time is asserted."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from bench.cases import CASES
from bench.command import main
from bench.probes.shapes import SHAPES
from bench.report import BEGIN, END
from bench.runner import MeasurementError, Runner, start

from tests.tools.sizes import full_only, sized

ROOT = Path(__file__).parent.parent.parent
STREAM = "9c03d351def3634e"
"""The totals of the small stream; another generator, another seed or wrong totals would change it."""


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


def bench(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


def test_the_cases_run_and_reach_the_right_totals(work: Path) -> None:
    """All of them in the full form."""
    out, cases = work / "PERFORMANCE.md", sized(("jsonl", "profile"), tuple(CASES))
    done = bench("--small", "--keep", work, "--out", out, *(word for name in cases for word in ("--only", name)))
    assert all(f"case {name}\n" in done.stderr for name in cases)
    table, profile, *shapes = (
        [line.split("|")[1:-1] for line in part.splitlines() if line.startswith("|")]
        for part in re.split("Nanoseconds per event of each stage|Processor time per event of the shapes", done.stdout)
    )
    hashes = {metric.strip(): sha256.strip(" `") for metric, _, _, _, sha256 in table}
    for form in ("JSON Lines", *sized((), ("Parquet", "JSON Lines under zstd", "CSV"))):
        assert hashes[f"{form}, 20,000 events into a fresh store"] == STREAM
    assert hashes["processor time per event, JSON Lines"] == STREAM
    stages = [row[0].strip() for row in profile]
    assert stages[2:] == ["read", "decode", "fold", "take_commit", "blobs", "SQLite", "all"]
    assert [row[0].strip() for rows in shapes for row in rows[2:]] == sized([], list(SHAPES))
    assert done.stdout in out.read_text(encoding="utf-8")
    assert not re.search(r"\b(yes|no)\b", " ".join(row[3] for row in table))
    assert str(ROOT) not in done.stdout


def test_one_input_gives_what_the_peers_compare(work: Path) -> None:
    events = work / "events.jsonl"
    lines = [
        {
            "TradeID": str(number % 70),
            "Value": number + 0.25,
            "Version": number,
            "Timestamp": 1616413258.8997,
            "Hierarchy": {"RiskType": f"r{number % 3}", "Region": "EMEA", "TradeDesk": f"d{number % 2}"},
        }
        for number in range(100)
    ]
    events.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    ours = json.loads(bench("--input", events, "--json", "--repeat", sized(1, 2)).stdout.splitlines()[-1])
    command = [sys.executable, str(ROOT / "bench" / "peers" / "plain_dict.py"), str(events)]
    theirs = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert set(ours) == set(theirs)
    assert {name: ours[name] for name in ("events", "sha256")} == {name: theirs[name] for name in ("events", "sha256")}
    assert (ours["peer"], ours["durable"], ours["exact"]) == ("oncefold", True, True)


def test_the_peers_that_need_nothing_reach_totals_written_by_hand() -> None:
    command = [sys.executable, str(ROOT / "bench" / "peers" / "smoke.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_file_without_a_place_for_the_table_is_refused_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "PERFORMANCE.md"
    out.write_text("# Performance\n", encoding="utf-8")
    with pytest.raises(SystemExit):
        main(["--small", "--out", str(out)])
    error = capsys.readouterr().err
    assert BEGIN in error
    assert END in error
    assert out.read_text(encoding="utf-8") == "# Performance\n"


@full_only("two processes, 2 s")
def test_a_measurement_that_fails_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MeasurementError, match="exit status 1"):
        start("fold", {"files": [str(tmp_path / "missing.jsonl")], "store": str(tmp_path / "s.db")})
    with pytest.raises(MeasurementError):
        Runner(tmp_path, 1, lambda _: None).once("no such probe", None)
