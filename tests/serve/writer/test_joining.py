"""Requests that share a decode, a fold and a commit are each answered as if they had come alone."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from oncefold.engine.session import Session
from tests.engine.conftest import _SHM
from tests.engine.records import NARROW, RECORDS, json_lines
from tests.serve.server.ingesting import ingesting, totals
from tests.tools import reference
from tests.tools.sizes import examples

GARBAGE = st.sampled_from([b"not an event\n", b"\n", b" \r\n", b'{"id": "a", "v": 1\n', b"\xff\n", b"[]\n"])
LINES = st.lists(RECORDS.map(lambda record: json_lines([record])) | GARBAGE, max_size=6)
BODIES = st.builds(
    lambda lines, ends: b"".join(lines) if ends else b"".join(lines).removesuffix(b"\n"), LINES, st.booleans()
)
GROUPS = st.lists(st.lists(BODIES, min_size=1, max_size=8), min_size=1, max_size=3)
Told = dict[str, object]


def alone(path: Path, groups: Sequence[Sequence[bytes]]) -> list[list[Told]]:
    """What each body is told when it comes by itself, in this order."""
    with Session.open(path, NARROW) as session:
        found = [[session.ingest(body) for body in bodies] for bodies in groups]
    return [
        [
            {
                "events": ingested.events,
                "counts": {outcome.name.lower(): count for outcome, count in ingested.counts.items() if count},
                "rejects": [(reject.position, reject.reason) for reject in ingested.rejects],
            }
            for ingested in group
        ]
        for group in found
    ]


def together(path: Path, groups: Sequence[Sequence[bytes]]) -> tuple[list[list[Told]], Counter[int]]:
    """What each is told when those of a group come at once, and how many requests each commit answered."""

    async def send() -> tuple[list[list[Told]], Counter[int]]:
        told, commits = [], Counter[int]()
        async with ingesting(path, NARROW) as server:
            for bodies in groups:
                sendings = [server.begin() for _ in bodies]
                for sending, body in zip(sendings, bodies, strict=True):
                    sending.send(body, more=False)
                documents = [answer.document for sending in sendings if (answer := await sending.answer)]
                commits.update(document["commit"] for document in documents)
                told.append(
                    [
                        {
                            "events": document["events"],
                            "counts": document["counts"],
                            "rejects": [(reject["position"], reject["reason"]) for reject in document["rejects"]],
                        }
                        for document in documents
                    ]
                )
        return told, commits

    return asyncio.run(send())


@settings(max_examples=examples(40))
@given(GROUPS)
def test_each_is_told_what_it_would_be_told_alone(groups: list[list[bytes]]) -> None:
    with TemporaryDirectory(dir=_SHM if _SHM.is_dir() else None) as folder:
        one, other = Path(folder) / "alone.db", Path(folder) / "together.db"
        expected = alone(one, groups)
        told, _ = together(other, groups)
        assert told == expected
        reference.assert_equal(totals(one), totals(other), NARROW)


def test_many_requests_share_few_commits(memory: Path) -> None:
    bodies = [
        b'{"id": "k%d", "v": 1, "place": {"region": "r", "desk": "d"}, "value": 1, "fee": 1}' % n for n in range(300)
    ]
    told, commits = together(memory / "store.db", [bodies, bodies, bodies])
    assert [found["counts"] for found in told[0]] == [{"inserted": 1}] * 300
    assert [found["counts"] for found in told[2]] == [{"duplicate": 1}] * 300
    assert len(commits) <= 12, commits
    assert len(set(commits)) == len(commits)
