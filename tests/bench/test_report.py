"""The table and its place in a document, and which runs count."""

from pathlib import Path

import pytest
from bench.inputs import Input, Inputs
from bench.report import BEGIN, END, Report, Row, put
from bench.runner import MeasurementError, Runner

from bench import runner
from oncefold.generate import Workload, generate


def test_the_table() -> None:
    rows = [Row("a", "1", "≥ 2", met=False, sha256="f" * 64), Row("b", "2 s")]
    assert Report("About.", rows, ["More."]).text() == (
        "About.\n\n"
        "| metric | value | target | met | SHA-256 of the totals |\n"
        "|---|--:|--:|---|---|\n"
        "| a | 1 | ≥ 2 | no | `ffffffffffffffff` |\n"
        "| b | 2 s |  |  |  |\n\n"
        "More.\n"
    )


def test_only_what_stands_between_the_markers_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "PERFORMANCE.md"
    path.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    put(path, "new\n")
    put(path, "newer\n")
    assert path.read_text(encoding="utf-8") == f"before\n{BEGIN}\nnewer\n{END}\nafter\n"


def test_a_document_is_made_if_there_is_none(tmp_path: Path) -> None:
    path = tmp_path / "PERFORMANCE.md"
    put(path, "new\n")
    assert path.read_text(encoding="utf-8").startswith("# Performance\n")
    assert f"{BEGIN}\nnew\n{END}\n" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("text", ["", BEGIN, END, f"{END}{BEGIN}", f"{BEGIN}{END}{BEGIN}"])
def test_a_document_without_one_place_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "PERFORMANCE.md"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="no place for the table"):
        put(path, "new\n")


def test_inputs_are_made_once_and_again_if_a_file_is_lost(tmp_path: Path) -> None:
    said: list[str] = []
    inputs = Inputs(tmp_path, said.append)
    workload = Workload(count=500, duplicates=0.1, modifications=0.3)
    first = inputs.of(workload, "jsonl")
    assert inputs.of(workload, "jsonl") == first
    assert first.files[0].read_bytes() == b"".join(generate(workload))
    assert inputs.of(workload, "csv").sha256 == first.sha256
    first.files[0].unlink()
    assert inputs.of(workload, "jsonl") == first
    assert said == [f"generating 500 events as {form}" for form in ("jsonl", "csv", "jsonl")]


def test_a_split_input_is_the_whole_stream(tmp_path: Path) -> None:
    workload = Workload(count=500, duplicates=0.1, modifications=0.3)
    inputs = Inputs(tmp_path, lambda _: None)
    split, whole = inputs.split(workload, 100), inputs.of(workload, "jsonl")
    assert (split.events, split.keys, split.sha256) == ((400, 100), whole.keys, whole.sha256)
    assert split.files[1].read_bytes().splitlines() == whole.files[0].read_bytes().splitlines()[400:]


def test_the_fastest_run_counts_and_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([3.0, 1.0, 2.0])
    monkeypatch.setattr(runner, "start", lambda probe, options: {"seconds": next(seconds), "sha256": "right"})
    given = Input((tmp_path / "events.jsonl",), (1,), 1, "right")
    measuring = Runner(tmp_path, 3, lambda _: None)
    assert measuring.fastest("fold", given)["seconds"] == 1.0
    assert measuring.once("fold", given)["seconds"] == 3.0
    assert measuring.fastest("fold", given)["seconds"] == 1.0


def test_wrong_totals_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "start", lambda probe, options: {"seconds": 1.0, "sha256": "wrong"})
    with pytest.raises(MeasurementError, match="wrong totals"):
        Runner(tmp_path, 1, lambda _: None).once("fold", Input((tmp_path / "events.jsonl",), (1,), 1, "right"))
