"""A client or resource of boto3 that the handler has already, and the client that is made without one."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import boto3
import pytest

from oncefold.once import Counters
from oncefold_lab.local.emulator import Emulator
from tests.once.tools import Tables


def _none() -> None:
    return None


def _client() -> Any:
    return boto3.client("dynamodb")


def _resource() -> Any:
    return boto3.resource("dynamodb")


@pytest.mark.parametrize("made", [_none, _client, _resource])
def test_any_client_counts_verifies_and_adopts(
    made: Callable[[], Any], emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in emulator.environment.items():
        monkeypatch.setenv(name, value)
    name = f"clients{made.__name__}"
    tables = Tables.made(_client(), name, f"{name}-ledger", {"country": "S", "year": "N"})
    given = made()
    for way in ("id", "version", "position"):
        if way != "id":
            tables = Tables.made(_client(), f"{name}-{way}", f"{name}-{way}-ledger", {"country": "S", "year": "N"})
        counters = Counters(tables.table, tables.ledger, way, client=given)  # type: ignore[arg-type]
        more: dict[str, Any] = {"version": 1} if way == "version" else {}
        with counters.adopting() as batch:
            batch.add("s:0", {}, **more)
        for _ in range(2):
            with counters.batch() as batch:
                batch.add("s:0", {("DE", 2025): {"n": 1}}, **more)
                batch.add("s:1", {("DE", 2026): {"n": Decimal("1.50")}}, **more)
            assert not batch.unfinished
            counters = Counters(tables.table, tables.ledger, way, client=given)  # type: ignore[arg-type]
        assert tables.totals() == {("DE", "2026"): "1.5"}
        assert counters.verify().exact
        if way != "position":
            assert counters.adopt_totals().exact
