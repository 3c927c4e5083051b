"""The benchmark of the service at its small size: everything is acknowledged, and its table has its place."""

import re
from pathlib import Path

import pytest
from bench.serve.cases import SMALL
from bench.serve.command import main
from bench.serve.report import BEGIN, END

from tests.tools.sizes import full_only


@full_only("six servers, 30 s")
def test_all_figures_of_a_small_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    assert main(["--small", "--keep", str(tmp_path / "kept"), "--out", str(page)]) == 0
    table = capsys.readouterr().out.strip()
    assert page.read_text() == f"before\n{BEGIN}\n{table}\n{END}\nafter\n"
    rows = [line.split("|")[1:-1] for line in table.splitlines() if line.startswith("|")]
    names = " ".join(row[0] for row in rows)
    assert f"{SMALL.singles} clients, one event each" in names
    assert f"with {SMALL.subscribers} subscribers" in names
    assert not re.search(r"\b(yes|no)\b", " ".join(row[3] for row in rows)), "a small run says nothing of speed"


def test_a_page_without_a_place_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing")
    with pytest.raises(SystemExit):
        main(["--small", "--out", str(page)])
    assert "no place for the table" in capsys.readouterr().err
