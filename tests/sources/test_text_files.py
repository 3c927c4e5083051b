"""Text files: resumed at every position, grown, cut short, replaced, compressed, damaged."""

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oncefold.core.errors import SourceError
from oncefold.core.fieldpath import FieldPath
from oncefold.sources.blocks import BLOCK_BYTES, Finding, TextBlock
from oncefold.sources.inputs import ReadOptions
from oncefold.sources.sources import Sources
from tests.sources.tools import BOM, ScriptedWaiting, positions_of, read, read_until_error, records_of, reference
from tests.tools.sizes import examples, in_full

LINES = b"".join(b'{"n": %d}\n' % n for n in range(40))
CSV = b"k,v\r\n" + b"".join(b'%d,"a ""%d""\r\nb"\r\n' % (n, n) for n in range(20))


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as out:
        out.write(data)
    return bytes(sink.getvalue())


def in_parts(pack: Any) -> Any:
    return lambda data: pack(data[: len(data) // 3]) + pack(b"") + pack(data[len(data) // 3 :])


PACKS: dict[str, Any] = {
    "": bytes,
    ".gz": in_parts(gzip.compress),
    ".zst": in_parts(zstd),
}


@pytest.mark.parametrize("pack", PACKS)
@pytest.mark.parametrize(
    ("name", "data", "header"), [("a.jsonl", LINES, 0), ("a.csv", CSV, 5), ("b.jsonl", BOM + LINES[:-1], 0)]
)
@pytest.mark.parametrize("block", [7, 2**20, *in_full("1 s for a file", 1, 100)])
def test_resume_at_every_position(tmp_path: Path, name: str, data: bytes, header: int, pack: str, block: int) -> None:
    path = tmp_path / (name + pack)
    path.write_bytes(PACKS[pack](data))
    blocks = read(path, block_bytes=block)
    whole = [r for r in reference(data, "," if "csv" in name else None) if r[0] >= header]
    assert records_of(blocks) == whole
    consumed = [block.consumed_bytes for block in blocks if isinstance(block, TextBlock)]
    assert sum(consumed) == path.stat().st_size
    assert min(consumed) >= 0
    for index, block_ in enumerate(blocks):
        assert isinstance(block_, TextBlock)
        rest = read(path, positions=positions_of([block_]), block_bytes=2**20)
        following = records_of(blocks[index + 1 :])
        if index + 1 == len(blocks):
            assert rest == []
        assert records_of(rest) == following
        if rest and following:
            assert rest[0].header == block_.header  # type: ignore[union-attr]


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(st.sampled_from([b"1\n", b"22\n", b'"3\n4"\n', b'"un\n', b"5"]), max_size=12),
    at=st.integers(0, 40),
    form=st.sampled_from(["jsonl", "csv"]),
    block=st.integers(1, 20),
)
def test_growth_at_any_byte(tmp_path: Path, lines: list[bytes], at: int, form: str, block: int) -> None:
    """What is read before and after the growth is all that one reading at the end gives, and what was unfinished."""
    data = (b"h\n" if form == "csv" else b"") + b"".join(lines)
    at = min(at, len(data))
    path = tmp_path / f"a.{form}"
    path.write_bytes(data[:at])
    before = read(path, block_bytes=block)
    path.write_bytes(data)
    after = read(path, positions=positions_of(before), block_bytes=block)
    whole = set(records_of(read(path)))
    assert whole <= set(records_of(before)) | set(records_of(after))
    if at == len(data):
        assert after == []
        return
    begins = json.loads(next(iter(positions_of(before).values())))["at"]
    assert [r for r in sorted(whole, key=lambda r: r[0]) if r[0] >= begins] == records_of(after)


@pytest.mark.parametrize("block", [1, 5, 2**20])
def test_resume_within_an_open_quote_at_the_end(tmp_path: Path, block: int) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'k,v\n1,2\n"3,4\n5,6\n7,8')
    blocks = read(path, block_bytes=block)
    whole = records_of(blocks)
    assert whole == [(4, b"1,2\n"), (8, 4, "a quote"), (13, b"5,6\n"), (17, b"7,8")]
    for index in range(len(blocks)):
        rest = records_of(read(path, positions=positions_of(blocks[: index + 1])))
        assert set(records_of(blocks[: index + 1])) | set(rest) == set(whole)
    append = path.read_bytes() + b'"\n9,0\n'
    path.write_bytes(append)
    again = records_of(read(path, positions=positions_of(blocks)))
    assert again == [(8, b'"3,4\n5,6\n7,8"\n'), (22, b"9,0\n")]


@pytest.mark.parametrize("pack", PACKS)
def test_a_last_line_without_newline_is_read_again_when_it_grows(tmp_path: Path, pack: str) -> None:
    path = tmp_path / f"a.jsonl{pack}"
    path.write_bytes(PACKS[pack](b"1\n2"))
    first = read(path)
    assert records_of(first) == [(0, b"1\n"), (2, b"2")]
    positions = positions_of(first)
    assert read(path, positions=positions) == []
    with path.open("ab") as file:
        file.write(PACKS[pack](b"3\n4\n"))
    again = read(path, positions=positions)
    assert records_of(again) == [(2, b"23\n"), (5, b"4\n")]


@pytest.mark.parametrize("pack", PACKS)
def test_truncated_and_replaced_are_findings_and_the_others_go_on(tmp_path: Path, pack: str) -> None:
    paths = [tmp_path / f"{name}.jsonl{pack}" for name in "abc"]
    noise = os.urandom(300_000).hex().encode()
    for path in paths:
        path.write_bytes(PACKS[pack](noise + b"\n" + LINES))
    positions = positions_of(read(*paths))
    paths[0].write_bytes(paths[0].read_bytes()[:-1])
    paths[1].write_bytes(PACKS[pack](b"other\n") + paths[1].read_bytes())
    with paths[2].open("ab") as file:
        file.write(PACKS[pack](b"new\n"))
    found = read(*paths, positions=positions)
    findings = [item for item in found if isinstance(item, Finding)]
    assert [(f.source, f.kind) for f in findings] == [(str(paths[0]), "truncated"), (str(paths[1]), "replaced")]
    assert all("--reread" in f.message and f.source in f.message for f in findings)
    rest = [item for item in found if not isinstance(item, Finding)]
    assert [raw for _, raw in records_of(rest)] == [b"new\n"]  # type: ignore[misc]
    if not pack:
        reread = read(paths[1], positions=positions, reread=True)
        assert records_of(reread) == reference(paths[1].read_bytes())


def test_a_change_within_the_last_64_kib_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"x\n" * 200_000)
    positions = positions_of(read(path))
    with path.open("r+b") as file:
        file.seek(350_000)
        file.write(b"y")
    (finding,) = read(path, positions=positions)
    assert isinstance(finding, Finding)
    assert finding.kind == "replaced"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.jsonl", b""),
        ("a.csv", b""),
        ("a.csv", b"k,v\n"),
        ("a.csv", b"k,v"),
        ("a.jsonl", BOM),
        ("a.csv", BOM + b"k,v\n"),
    ],
)
def test_nothing_to_read_is_still_a_position(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    blocks = read(path)
    assert len(blocks) == 1
    assert records_of(blocks) == []
    assert [block.header is None for block in blocks if isinstance(block, TextBlock)] == [name == "a.jsonl"]
    assert read(path, positions=positions_of(blocks)) == []
    with path.open("ab") as file:
        file.write(b"\nk,v\n1,2\n" if data in {b"k,v", BOM} else b"k,v\n1,2\n")
    raws = [record[1] for record in records_of(read(path, positions=positions_of(blocks)))]
    assert raws[-1:] == [b"1,2\n"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"k,k\n1,2\n", "names 'k' twice"),
        (b"\nk,v\n", "is empty"),
        (b",\n", "is empty"),
        (b"k,\xff\n", "not UTF-8"),
        (b"x,y\n1,2\n", "names none of the fields the pipeline reads (k), but x, y"),
        (b'"k' + b"x" * 2**21 + b'"\n', "longer than 1,048,576 bytes"),
        (b'"k' + b"x\n" * 2**24, "a quote in it does not close within 16,777,216 bytes"),
    ],
)
def test_a_header_that_cannot_be_one(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(data)
    with pytest.raises(SourceError) as caught:
        read(path, fields=[FieldPath(("k",))])
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("pack", [".gz", ".zst"])
def test_a_compressed_file_that_is_cut_short(tmp_path: Path, pack: str) -> None:
    noise = b"".join(os.urandom(30).hex().encode() + b"\n" for _ in range(20_000))
    whole = PACKS[pack](noise)
    good, bad, last = (tmp_path / f"{name}.jsonl{pack}" for name in ("a", "b", "c"))
    good.write_bytes(PACKS[pack](b"1\n"))
    bad.write_bytes(whole[: len(whole) * 2 // 3])
    last.write_bytes(PACKS[pack](b"2\n"))
    sources = Sources([str(path) for path in (good, bad, last)], ReadOptions(block_bytes=50_000))
    seen = read_until_error(sources.blocks(), "ends in the middle of a")
    findings = [item for item in seen if isinstance(item, Finding)]
    assert [(f.source, f.kind) for f in findings] == [(str(bad), "unreadable")]
    blocks = [item for item in seen if item.source == str(bad) and isinstance(item, TextBlock)]
    before = records_of(blocks)
    expected = reference(noise)
    assert len(before) > len(expected) // 2
    assert before == expected[: len(before)]
    assert any(item.source == str(last) for item in seen), "the other files go on"

    bad.write_bytes(whole)
    rest = read(bad, positions=positions_of(blocks))
    assert before + records_of(rest) == expected


@pytest.mark.parametrize("pack", [".gz", ".zst"])
def test_a_compressed_file_that_is_corrupt(tmp_path: Path, pack: str) -> None:
    noise = b"".join(os.urandom(30).hex().encode() + b"\n" for _ in range(40_000))
    data = bytearray(PACKS[pack](noise))
    middle = len(data) * 3 // 4
    data[middle : middle + 1000] = b"\0" * 1000
    path = tmp_path / f"a.jsonl{pack}"
    path.write_bytes(bytes(data))
    seen = read_until_error(Sources([str(path)], ReadOptions(block_bytes=50_000)).blocks(), "corrupt|not gzip")
    before = records_of([item for item in seen if isinstance(item, TextBlock)])
    assert len(before) > 10_000
    assert before == reference(noise)[: len(before)] or pack == ".gz"


def test_garbage_after_a_gzip_member_is_told_and_padding_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b"1\n") + b"\0" * 1000 + gzip.compress(b"2\n") + b"\0" * 3)
    assert records_of(read(path)) == [(0, b"1\n"), (2, b"2\n")]
    path.write_bytes(gzip.compress(b"1\n") + b"garbage")
    with pytest.raises(SourceError, match="not gzip"):
        read(path)


def test_compression_is_found_out_and_a_false_name_is_told(tmp_path: Path) -> None:
    hidden, false = tmp_path / "a.jsonl", tmp_path / "b.jsonl.gz"
    hidden.write_bytes(gzip.compress(b"1\n"))
    false.write_bytes(b"{}\n{}\n")
    assert records_of(read(hidden)) == [(0, b"1\n")]
    with pytest.raises(SourceError, match="neither gzip nor zstd"):
        read(false)


def test_a_stop_ends_after_the_block_at_hand_and_the_rest_is_read_next_time(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.jsonl").write_bytes(LINES)
    waiting = ScriptedWaiting()
    blocks = []
    for block in Sources([str(tmp_path)], ReadOptions(block_bytes=16), None, waiting).blocks():
        blocks.append(block)
        if len(blocks) == 5:
            waiting.stop = True
    assert len(blocks) == 5
    rest = read(tmp_path, positions=positions_of(blocks))
    first = [block for block in [*blocks, *rest] if block.source.endswith("a.jsonl")]
    assert records_of(first) == reference(LINES)
    assert records_of([block for block in rest if block.source.endswith("b.jsonl")]) == reference(LINES)


def test_what_is_to_be_read_is_known_in_advance(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(LINES)
    (tmp_path / "b.jsonl").write_bytes(LINES)
    positions = positions_of(read(tmp_path / "a.jsonl"))
    sources = Sources([str(tmp_path)], positions=positions)
    assert (sources.total_bytes, sources.done_files) == (len(LINES), 1)
    assert Sources(["-"]).total_bytes is None


def test_a_position_of_another_kind_or_version(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(LINES)
    with pytest.raises(SourceError, match="--reread"):
        read(path, positions={str(path): '{"v": 9}'})
    positions = {source: state.replace("text", "parquet") for source, state in positions_of(read(path)).items()}
    (finding,) = read(path, positions=positions)
    assert isinstance(finding, Finding)
    assert "read as parquet before" in finding.message


def test_blocks_of_a_big_file_are_bounded_and_own_their_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(LINES * 60_000)
    first = next(iter(Sources([str(path)]).blocks()))
    assert isinstance(first, TextBlock)
    kept = bytes(first.data)
    sizes = [len(block.data) for block in read(path) if isinstance(block, TextBlock)]
    assert max(sizes) <= BLOCK_BYTES + len(b'{"n": 39}\n')
    assert sum(sizes) == path.stat().st_size
    assert len(sizes) <= path.stat().st_size // BLOCK_BYTES + 2
    assert bytes(first.data) == kept
