"""The demonstration is run as `make demo` runs it, and it fails where it should."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
from examples.covid19.series import COUNTRIES_FILE, FOLDER

from tests.tools.sizes import full_only

KILLS = 2
SECONDS = 400
"""For all of it; the first start on a machine compiles the kernels."""


def demo(folder: Path, temporary: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Its end; all that it writes to the disk for a while is in `temporary`."""
    temporary.mkdir()
    return subprocess.run(
        [sys.executable, folder / "demo.py", *options],
        env={**os.environ, "TMPDIR": str(temporary), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=SECONDS,
        check=False,
    )


def altered_copy(folder: Path, before: str, after: str) -> Path:
    """The demonstration with other publisher's totals."""
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    file = folder / COUNTRIES_FILE.name
    with pa.input_stream(str(file), compression="zstd") as stream:
        text = stream.read().decode()
    assert text.count(before) == 1
    with pa.output_stream(str(file), compression="zstd") as stream:
        stream.write(text.replace(before, after).encode())
    return folder


@full_only("15 s")
def test_it_ends_well_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = demo(FOLDER, tmp_path / "tmp", "--kills", str(KILLS), "--seed", "5")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("killed with SIGKILL") == KILLS
    assert done.stdout.count("✗") == KILLS
    assert "192 countries, all there are, and the world are equal" in done.stdout
    assert f"the process was killed {KILLS} times, and the store met 126,588 events" in re.sub(r"\s+", " ", done.stdout)
    assert "6,720 events" in done.stdout
    assert "read over HTTP" in done.stdout
    assert done.stderr == ""
    assert list((tmp_path / "tmp").iterdir()) == []


@full_only("a second demonstration, 10 s")
def test_it_fails_if_one_country_differs(tmp_path: Path) -> None:
    copy = altered_copy(tmp_path / "copy", "2021-03-16,Greece,", "2021-03-16,Greece,1")
    done = demo(copy, tmp_path / "tmp", "--kills", "0", "--folder", str(tmp_path / "kept"))
    assert done.returncode == 1
    assert done.stdout.count("✗") == 1
    assert re.search(r"^ +Greece: Figures\(", done.stdout, re.MULTILINE)
    assert (tmp_path / "kept" / "covid19.db").exists()
