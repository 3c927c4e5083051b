"""Whatever goes wrong while one source is decoded, the others are read, and its position does not pass the block."""

import threading
from pathlib import Path

import pytest

from oncefold.commit import SourcePosition
from oncefold.core.definition_toml import parse_toml
from oncefold.core.errors import SourceError
from oncefold.engine import run
from oncefold.engine.decoding import BlockDecoder
from oncefold.engine.run import Decoded, decoded
from oncefold.engine.session import Session
from oncefold.sources.blocks import Finding, TextBlock

PIPELINE = parse_toml(
    'name = "p"\n[event]\nkey = "id"\n[rollups]\nall = []\n[measures]\na = { sum = "a", scale = 0 }\n'
)


def block(source: str, number: int, data: bytes = b'{"id": "k", "a": 1}\n') -> TextBlock:
    position = SourcePosition(source, str(number))
    return TextBlock(source, "json", memoryview(data), 0, position, len(data))


class Breaking(BlockDecoder):
    def decode(self, block):  # type: ignore[no-untyped-def]
        if block.source == "bad" and block.position.state == "2":
            raise KeyError("a column")
        return super().decode(block)


def test_a_block_that_cannot_be_decoded_ends_its_source_alone() -> None:
    blocks = [block("bad", 1), block("good", 1), block("bad", 2), block("bad", 3), block("good", 2)]
    seen: list[Decoded | Finding] = []
    with pytest.raises(SourceError, match="bad: it cannot be read: KeyError"):
        seen.extend(decoded(Breaking(PIPELINE), blocks))
    read = [(item.position.source, item.position.state) for item in seen if isinstance(item, Decoded)]
    assert read == [("bad", "1"), ("good", "1"), ("good", "2")]
    assert [item.kind for item in seen if isinstance(item, Finding)] == ["unreadable"]


def test_nul_bytes_in_front_of_records_are_a_finding() -> None:
    data = b'\0\0\0{"id": "k", "a": 1}\n\0\0\n{"id": "l", "a": 2}\n\0{"id"\n'
    finding, item = decoded(BlockDecoder(PIPELINE), [block("log", 1, data)])
    assert isinstance(finding, Finding)
    assert isinstance(item, Decoded)
    assert (finding.kind, item.batch.padding, len(item.batch.rejects)) == ("padded", 6, 1)
    assert item.batch.rejects[0].raw == b'\0{"id"'


def test_blocks_decoded_meanwhile_of_a_source_that_failed_are_not_folded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later, given = threading.Event(), []

    class Slow(BlockDecoder):
        def decode(self, block):  # type: ignore[no-untyped-def]
            if block.position.state == "2":
                given.append(block)
                raise KeyError("a column") if later.wait(60) else AssertionError("the next block was not decoded")
            try:
                return super().decode(block)
            finally:
                if block.position.state == "3":
                    later.set()

    monkeypatch.setattr(run, "BlockDecoder", Slow)
    monkeypatch.setattr(run.os, "cpu_count", lambda: 3)
    blocks = [block("bad", n, b'{"id": "%d", "a": 1}\n' % n) for n in range(1, 4)]
    with Session.open(tmp_path / "store.db", PIPELINE) as session:
        with pytest.raises(SourceError, match="bad: it cannot be read: KeyError"):
            run.run(session._engine, session._store, blocks)
        assert session.positions == {"bad": "1"}
        assert [row.count for row in session.totals()] == [1]
    assert len(given) == 1
