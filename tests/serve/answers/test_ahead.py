"""What was asked lately is asked again at the next commit, before anybody does; what nobody asks any more is not."""

from typing import Any

import pytest

from oncefold.serve.answers.readers import Lane
from tests.queries.stores import MONDAY, lines
from tests.serve.answers.server import Server
from tests.tools.waiting import until


def test_answers_are_there_before_they_are_asked_for(shop: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    answer = Lane._answer

    def counted(lane: Lane, question: Any) -> Any:
        found = answer(lane, question)
        if lane is shop.readers.quick:
            asked.append(found.fresh.commit)
        return found

    monkeypatch.setattr(Lane, "_answer", counted)
    for commit in (3, 4):
        shop.ask("/totals/place?depth=0")
        shop.ingest(lines([{**MONDAY[0], "order": f"C-{commit}"}]))
        until(lambda commit=commit: commit in asked, "the question to be asked ahead")
        times = len(asked)
        assert int(shop.ask("/totals/place?depth=0").headers["oncefold-commit"]) == commit
        assert len(asked) == times, "it was asked again"
    shop.ingest(lines([{**MONDAY[0], "order": "C-5"}]))
    until(lambda: 5 in asked, "the last question to be asked ahead")
    shop.ingest(lines([{**MONDAY[0], "order": "C-6"}]))
    assert int(shop.ask("/totals/place?depth=0").headers["oncefold-commit"]) == 6
    assert asked.count(6) == 1, "nobody had asked since commit 5"
