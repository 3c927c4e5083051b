"""The AWS benchmark runs, asserts its totals, and writes its table where it belongs."""

from pathlib import Path

import pytest
from bench.aws.cold_start import cold_starts
from bench.aws.command import main
from bench.aws.contention import run_contention
from bench.aws.report import BEGIN, END, write_between

from tests.tools.sizes import full_only


@full_only("5 s")
def test_both_pipelines_give_the_generators_totals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    assert main(["--events", "300", "--out", str(page)]) == 0
    table = capsys.readouterr().out.strip()
    assert "300 events of the workshop's hard mode" in table
    assert page.read_text() == f"before\n{BEGIN}\n{table}\n{END}\nafter\n"


def test_a_page_without_a_place_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing")
    with pytest.raises(ValueError, match="no marks for the table"):
        write_between(page, "table")


def test_hot_keys_cost_few_writes_with_either_measure_alone() -> None:
    by_key = run_contention(by_key=True)
    assert (by_key.refused, by_key.tried) == (0, by_key.done)
    assert by_key.tried < 1_400
    evenly = run_contention(by_key=False)
    assert evenly.refused > 10
    assert evenly.tried < 1_400  # 2,690 when a refused transaction was sent again as a whole


def test_a_cold_start_is_measured_without_the_libraries_and_with_them() -> None:
    alone, whole = cold_starts(times=1)
    assert min(alone.processor_seconds, whole.processor_seconds) > 0
