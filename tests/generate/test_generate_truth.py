"""The truth and the knobs, held against a plain reading of the emitted text."""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tools.sizes import examples, full_only

from oncefold.generate import Workload, generate, json_lines, plan, planner, truth


@dataclass
class Reading:
    """What a reader finds who knows nothing of the generator."""

    events: int = 0
    greatest: dict = field(default_factory=dict)
    contents: dict = field(default_factory=dict)
    repeats: int = 0
    deletes: int = 0
    late: int = 0
    outcomes: dict = field(default_factory=lambda: {"accepted": 0, "duplicate": 0, "stale": 0})

    def take(self, line):
        event = json.loads(line, parse_float=Decimal)
        key, version = event["TradeID"], event["Version"]
        self.events += 1
        assert self.contents.setdefault((key, version), line) == line, "two contents share (key, version)"
        before = self.greatest.get(key)
        self._count(event, line, before)
        if before is None or version > before["Version"]:
            self.greatest[key] = event

    def _count(self, event, line, before):
        newest = before is None or event["Version"] > before["Version"]
        same = not newest and event["Version"] == before["Version"]
        self.outcomes["accepted" if newest else "duplicate" if same else "stale"] += 1
        again = line in self._seen
        self._seen.add(line)
        self.repeats += again
        if not again:
            self.deletes += event.get("Deleted", False)
            self.late += not newest

    def __post_init__(self):
        self._seen = set()

    def nodes(self):
        totals = defaultdict(lambda: [0, Decimal(0)], {"": [0, Decimal(0)]})
        for event in self.greatest.values():
            if event.get("Deleted"):
                continue
            labels = [event["Hierarchy"][level] for level in ("RiskType", "TradeDesk", "Region")]
            for depth in range(4):
                total = totals["/".join(labels[:depth])]
                total[0] += 1
                total[1] += event["Value"]
        return {node: {"count": n, "value": f"{value:.2f}"} for node, (n, value) in totals.items()}


def read(text):
    reading = Reading()
    for line in text.splitlines():
        reading.take(line)
    return reading


def check(workload):
    """Hold everything the generator claims about the workload against its text."""
    text = b"".join(generate(workload))
    reading, right, counts = read(text), truth(workload), workload.counts
    totals = right["totals"]
    assert right["nodes"] == reading.nodes()
    assert totals["events"] == reading.events == counts.events
    assert totals["keys"] == len(reading.greatest) == counts.keys
    assert totals["live_keys"] == reading.nodes()[""]["count"]
    assert totals["deleted_keys"] == totals["keys"] - totals["live_keys"]
    assert totals["duplicates"] == reading.repeats == counts.duplicates
    assert totals["deletes"] == reading.deletes == counts.deletes
    assert totals["out_of_order"] == reading.late == counts.out_of_order
    assert totals["modifications"] == counts.modifications
    assert totals["moves"] <= totals["modifications"]
    assert right["outcomes"] == reading.outcomes
    return text


SHARE = st.sampled_from([0.0, 0.0, 0.01, 0.1, 0.2, 0.24])


@st.composite
def workloads(draw):
    """Draw knobs of every kind; small, so that blocks are made small too."""
    given_keys = draw(st.booleans())
    return Workload(
        count=draw(st.integers(100, 700)),
        keys=draw(st.integers(1, 25)) if given_keys else None,
        modifications=None if given_keys else draw(SHARE),
        duplicates=draw(SHARE),
        out_of_order=draw(SHARE),
        deletes=draw(SHARE),
        moves=draw(st.sampled_from([0.0, 0.2, 1.0])),
        leaves=draw(st.sampled_from([1, 2, 5, 12, 100])),
        seed=draw(st.integers(0, 2**64 - 1)),
    )


@settings(deadline=None, max_examples=examples(50))
@given(workload=workloads(), block=st.integers(1, 800), window=st.integers(1, 800))
def test_the_truth_is_the_plain_definition_over_the_text(workload, block, window):
    with mock.patch.object(planner, "BLOCK", block), mock.patch.object(planner, "WINDOW", window):
        assert check(workload) == b"".join(generate(workload))


@settings(deadline=None, max_examples=examples(25))
@given(workload=workloads(), block=st.integers(1, 800), size=st.integers(1, 300), data=st.data())
def test_pieces_of_any_size_and_any_prefix(workload, block, size, data):
    with mock.patch.object(planner, "BLOCK", block):
        whole = b"".join(generate(workload))
        pieces = b"".join(json_lines(workload, part) for events in plan(workload) for part in events.parts(size))
        assert pieces == whole
        prefix = data.draw(st.integers(0, workload.counts.events))
        reading = read(b"".join(whole.splitlines(keepends=True)[:prefix]))
        right = truth(workload, prefix)
    assert right["nodes"] == reading.nodes()
    assert right["outcomes"] == reading.outcomes
    assert right["totals"]["events"] == prefix
    assert right["totals"]["keys"] == len(reading.greatest)
    assert right["totals"]["duplicates"] == reading.repeats


@full_only("4 s")
def test_real_blocks_with_every_kind():
    check(
        Workload(
            count=150_000,
            modifications=0.2,
            duplicates=0.1,
            out_of_order=0.1,
            deletes=0.05,
            leaves=1_000,
            seed=11,
        )
    )


@pytest.mark.parametrize("seed", range(20))
def test_many_seeds(seed):
    check(Workload(count=2_000, modifications=0.3, duplicates=0.1, out_of_order=0.1, deletes=0.1, seed=seed))


def test_one_event():
    check(Workload(count=1))


def test_one_key_with_nothing_but_older_versions():
    text = check(Workload(count=5_000, keys=1, modifications=0.0, out_of_order=0.9998))
    assert max(json.loads(line)["Version"] for line in text.splitlines()) == 5_000


def test_versions_of_more_digits_than_the_tables_hold():
    workload = Workload(count=130_000, keys=1)
    *_, last = generate(workload)
    assert json.loads(last.splitlines()[-1])["Version"] == 130_000
