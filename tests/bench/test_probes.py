"""What the measurements work out by themselves."""

import pytest
from bench.probes import stages
from bench.probes.latency import Seen, _delays
from bench.probes.stages import Clocks


def test_each_event_waits_for_the_first_answer_that_holds_it() -> None:
    seen = [Seen(2, 10.0), Seen(4, 12.0)]
    assert _delays([9.0, 9.5, 11.0], seen) == [1.0, 2.5, 1.0]


def test_a_stage_within_another_is_taken_out_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter([(0.0, 0.0, 0.0), (1.0, 0.5, 10.0), (3.0, 1.0, 30.0), (7.0, 1.0, 70.0)])
    monkeypatch.setattr(stages, "_now", lambda: next(readings))
    clocks = Clocks()
    with clocks.on("SQLite"), clocks.on("blobs"):
        pass
    assert clocks.seconds["blobs"] == [2.0, 0.5, 20.0]
    assert clocks.seconds["SQLite"] == [5.0, 0.5, 50.0]
    assert clocks.seconds["fold"] == [0.0, 0.0, 0.0]
