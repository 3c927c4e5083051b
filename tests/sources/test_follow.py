"""Following: growth, rotation, truncation, new files; every step happens in a scripted pause."""

import gzip
from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oncefold.core.errors import SourceError
from oncefold.sources import follow as follow_module
from oncefold.sources.blocks import Finding, TableBlock
from oncefold.sources.follow import DISCOVER_SECONDS, POLL_SECONDS, SETTLE_SECONDS
from oncefold.sources.inputs import ReadOptions
from oncefold.sources.sources import Sources
from tests.sources.tools import ScriptedWaiting, append, nothing, positions_of, read, records_of, rows_of

Step = Callable[[], object]
SEARCH = [nothing] * (round(DISCOVER_SECONDS / POLL_SECONDS) + 1)
"""Steps after which a new file was found."""


def follow(steps: list[Step], *paths: object, positions: Mapping[str, str] | None = None, **options: object) -> "Run":
    waiting = ScriptedWaiting(list(steps))
    sources = Sources([str(p) for p in paths], ReadOptions(follow=True, **options), positions, waiting)  # type: ignore[arg-type]
    assert sources.total_bytes is None
    return Run([(round(waiting.seconds, 3), item) for item in sources.blocks()])


class Run:
    def __init__(self, timed: list[tuple[float, object]]) -> None:
        self.timed = timed
        self.items = [item for _, item in timed]
        self.findings = [item for item in self.items if isinstance(item, Finding)]
        self.blocks = [item for item in self.items if not isinstance(item, Finding)]

    def raws(self, path: Path | None = None) -> list[bytes]:
        blocks = [b for b in self.blocks if path is None or b.source == str(path)]  # type: ignore[attr-defined]
        return [raw for block in blocks for _, raw in records_of([block])]  # type: ignore[misc, list-item]


def test_what_is_appended_is_handed_on_by_the_next_look(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"1\n")
    run = follow([append(path, b"2\n3"), nothing, append(path, b"4\n"), nothing], path)
    assert [(at, records_of([block])) for at, block in run.timed] == [  # type: ignore[list-item]
        (0.0, [(0, b"1\n")]),
        (0.1, [(2, b"2\n")]),
        (0.3, [(4, b"34\n")]),
    ]


def test_a_last_line_without_newline_is_left_for_the_next_run(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"k,v\n1,2\n3,4")
    run = follow([nothing], path)
    assert run.raws() == [b"1,2\n"]
    assert [r[1] for r in records_of(read(path, positions=positions_of(run.blocks)))] == [b"3,4"]  # type: ignore[arg-type]


def test_new_files_in_a_directory_and_by_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    one, two = tmp_path / "d" / "1.jsonl", tmp_path / "p.csv"
    steps = [append(one, b"1\n"), append(two, b"k\n2\n"), *SEARCH]
    assert sorted(follow(steps, tmp_path / "d", tmp_path / "*.csv").raws()) == [b"1\n", b"2\n"]


def test_a_file_that_is_rotated_is_read_to_its_end_first(tmp_path: Path) -> None:
    path, old = tmp_path / "a.jsonl", tmp_path / "a.jsonl.1"
    path.write_bytes(b"1\n")
    steps: list[Step] = [
        append(path, b"2\n"),
        lambda: path.rename(old),
        append(old, b"3\n"),
        path.touch,
        append(old, b"4\n"),
        append(path, b"5\n"),
        append(path, b"6\n"),
        nothing,
    ]
    run = follow(steps, path)
    assert run.raws() == [b"1\n", b"2\n", b"3\n", b"4\n", b"5\n", b"6\n"]
    assert [finding.kind for finding in run.findings] == ["rotated"]
    assert "read to its end" in run.findings[0].message
    assert follow([append(path, b"7\n"), nothing], path, positions=positions_of(run.blocks)).raws() == [b"7\n"]  # type: ignore[arg-type]


def test_rotation_between_two_looks_loses_nothing(tmp_path: Path) -> None:
    path, old = tmp_path / "a.jsonl", tmp_path / "a.jsonl.1"
    path.write_bytes(b"1\n")

    def rotate() -> None:
        append(path, b"2\nend")()
        path.rename(old)
        append(path, b"3\n")()

    run = follow([rotate, nothing], path)
    assert run.raws() == [b"1\n", b"2\n", b"end", b"3\n"]


@pytest.mark.parametrize("after", [b"", b"new\n", b"as long as it was\n", b"longer than it was before\n"])
def test_a_file_that_is_truncated_is_told_and_read_from_its_start(tmp_path: Path, after: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"as long as it is.\n")
    run = follow([lambda: path.write_bytes(after), nothing, append(path, b"2\n"), nothing], path)
    assert run.raws() == [b"as long as it is.\n", *([after] if after else []), b"2\n"]
    assert len(run.findings) == 1
    assert "from its start again" in run.findings[0].message


def test_positions_of_an_earlier_run(tmp_path: Path) -> None:
    same, grown, replaced = (tmp_path / f"{name}.jsonl" for name in ("same", "grown", "replaced"))
    for path in (same, grown, replaced):
        path.write_bytes(b"1\n")
    positions = positions_of(read(tmp_path))
    append(grown, b"2\n")()
    replaced.write_bytes(b"3\n")
    run = follow([append(replaced, b"4\n"), nothing], tmp_path, positions=positions)
    assert run.raws() == [b"2\n"]
    assert [(f.source, f.kind) for f in run.findings] == [(str(replaced), "replaced")]
    assert "--reread" in run.findings[0].message
    assert run.raws(same) == []


def test_reread_reads_all_again_once(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"1\n")
    positions = positions_of(read(path))
    assert follow([append(path, b"2\n"), nothing], path, positions=positions, reread=True).raws() == [b"1\n", b"2\n"]


@pytest.mark.parametrize("form", ["gz", "zst"])
def test_compressed_files_grow_by_members_and_within_one(tmp_path: Path, form: str) -> None:
    def pack(data: bytes) -> bytes:
        if form == "gz":
            return gzip.compress(data)
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, "zstd") as out:
            out.write(data)
        return bytes(sink.getvalue())

    path = tmp_path / f"a.jsonl.{form}"
    lines = b"".join(b"%d\n" % n for n in range(100_000))
    third = pack(lines)
    steps: list[Step] = [append(path, pack(b"a\n")), append(path, pack(b"b\n")), nothing]
    steps += [append(path, third[at : at + 50_000]) for at in range(0, len(third), 50_000)]
    steps += [nothing, append(path, pack(b"z\n")), nothing]
    path.touch()
    run = follow(steps, path)
    assert run.findings == []
    assert b"".join(run.raws()) == b"a\nb\n" + lines + b"z\n"


def test_tables_are_read_once_they_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"n": list(range(10))}), tmp_path / "whole")
    data = (tmp_path / "whole").read_bytes()
    steps = [append(path, data[:100]), *SEARCH, *SEARCH, append(path, data[100:]), nothing, nothing, nothing]
    run = follow(steps, tmp_path)
    assert run.findings == []
    assert [row["n"] for row in rows_of(run.blocks)] == list(range(10))  # type: ignore[arg-type]
    assert all(isinstance(block, TableBlock) for block in run.blocks)


def test_a_table_that_never_gets_its_end_is_told_and_tried_again_when_it_does(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"n": list(range(10))}), tmp_path / "whole")
    data = (tmp_path / "whole").read_bytes()
    path.write_bytes(data[:-1])
    wait = [nothing] * (round(SETTLE_SECONDS / POLL_SECONDS) + 1)
    run = follow([*wait, *wait, append(path, data[-1:]), nothing, nothing], tmp_path)
    assert [(f.source, f.kind) for f in run.findings] == [(str(path), "unreadable")]
    assert [row["n"] for row in rows_of(run.blocks)] == list(range(10))  # type: ignore[arg-type]


def test_a_table_written_anew_under_its_name_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"n": [1]}), path)

    def renew() -> None:
        pq.write_table(pa.table({"n": [1, 2]}), tmp_path / "new.tmp")
        (tmp_path / "new.tmp").rename(path)

    run = follow([nothing, nothing, renew, nothing, nothing, nothing], tmp_path)
    assert [row["n"] for row in rows_of(run.blocks)] == [1, 1, 2]  # type: ignore[arg-type]
    assert [finding.kind for finding in run.findings] == ["rotated"]


def test_what_cannot_be_read_is_told_once_and_the_others_go_on(tmp_path: Path) -> None:
    bad, good = tmp_path / "bad.csv", tmp_path / "good.csv"
    bad.write_bytes(b"k,k\n")
    good.write_bytes(b"k\n1\n")
    run = follow([append(bad, b"1,2\n"), append(good, b"2\n"), nothing], tmp_path)
    assert run.raws() == [b"1\n", b"2\n"]
    assert [(f.source, f.kind) for f in run.findings] == [(str(bad), "unreadable")]


def test_more_files_than_may_be_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow_module, "OPEN_FILES", 2)
    paths = [tmp_path / f"{n}.jsonl" for n in range(6)]
    for path in paths:
        path.write_bytes(b"1\n2")
    descriptors = Path("/proc/self/fd")
    before = len(list(descriptors.iterdir())) if descriptors.exists() else 0
    run = follow([*(append(path, b"3\n") for path in paths), nothing], tmp_path)
    for path in paths:
        assert run.raws(path) == [b"1\n", b"23\n"]
    assert run.findings == []
    if before:
        assert len(list(descriptors.iterdir())) == before


def test_arguments_that_name_nothing_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        follow([], tmp_path / "none.jsonl")
