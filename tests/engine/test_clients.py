"""A store and a server by the same methods, with and without an event loop: what is sent, what changes, what breaks."""

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

import oncefold
from oncefold import Outcome
from oncefold.core.definition_text import to_toml
from oncefold.pipeline_file import pipeline_of
from tests.serve.running import Running
from tests.tools.sizes import full_only, in_full, sized

SHOP = {
    "name": "shop",
    "keep_events": True,
    "event": {"key": "order", "version": "version"},
    "rollups": {"place": ["country", "city"], "kind": ["country"]},
    "measures": {"amount": {"sum": "amount", "scale": 2}},
}
TOKEN = "changing-token-0123456789"

Store = oncefold.Session | oncefold.ServerSession


def order(number: int, amount: object = "1.50", country: str = "DE", city: str = "Ulm", version: int = 1) -> Any:
    return {"order": f"A-{number}", "version": version, "country": country, "city": city, "amount": amount}


@pytest.fixture(scope="module")
def shop_toml() -> str:
    return to_toml(pipeline_of(SHOP))


@pytest.fixture(params=["store", "server"])
def opened(request: pytest.FixtureRequest, tmp_path: Path, shop_toml: str) -> Iterator[Callable[[], Store]]:
    """Opens a store of its own, or a server with one, again and again."""
    if request.param == "store":
        yield lambda: oncefold.open(tmp_path / "shop.db", SHOP)
        return
    tokens = tmp_path / "tokens"
    tokens.write_text(f"admin {TOKEN}\n")
    tokens.chmod(0o600)
    with Running(tmp_path, "--token-file", tokens, pipeline=shop_toml, token=TOKEN) as running:
        yield lambda: oncefold.connect(f"http://127.0.0.1:{running.port}", TOKEN)


WITH_A_SERVER_IN_FULL = pytest.mark.parametrize("opened", ["store", *in_full("a server, 2 s", "server")], indirect=True)


def rows_of(change: oncefold.Change) -> dict[str, tuple[int, Decimal | None]]:
    return {f"{row.rollup}:{row.path}": (row.count, row.sums["amount"]) for row in change}


def test_every_kind_of_events_counts_once_and_changes_are_told(opened: Callable[[], Store]) -> None:
    with opened() as store, store.changes(rollup="place") as changes:
        table = pa.table({name: [value] for name, value in order(4, Decimal("4.25")).items()})
        kinds: list[Any] = [
            order(1, Decimal("1.10")),
            [order(1, Decimal("1.10")), order(2, 2, "FR", "Lyon")],
            (order(number, "3.00") for number in (2, 3)),
            table,
            iter([order(5, Decimal("5.00")), table, order(6, 6)]),
            pl.LazyFrame([order(7, 7, version=2)]),
            b'{"order": "A-8", "version": 1, "country": "DE", "city": "Ulm", "amount": 8.125}\n',
            '{"order": "A-9"',
        ]
        done = [store.ingest(kind, source="test") for kind in kinds]
        counts = sum((one.counts for one in done), start=done[0].counts - done[0].counts)
        assert dict(counts) == {
            Outcome.INSERTED: 7, Outcome.DUPLICATE: 2, Outcome.CONFLICT_LOST: 1, Outcome.REJECTED: 2,
        } or dict(counts) == {
            Outcome.INSERTED: 7, Outcome.DUPLICATE: 2, Outcome.CONFLICT_WON: 1, Outcome.REJECTED: 2,
        }  # fmt: skip
        assert [reject.source for one in done for reject in one.rejects] == ["test", "test"]
        assert "more than 2 decimal places" in done[6].rejects[0].reason
        assert store.query(rollup="place").node == store.totals(rollup="place").node
        assert store.totals(rollup="place").node.count == 7

        told: dict[str, Any] = {}
        counted: Counter[str] = Counter()
        while told.get("place:", (0,))[0] != 7:
            change = next(changes)
            assert not change.reset
            told |= rows_of(change)
            counted += Counter(change.counts)
        assert not any(name.startswith("kind:") for name in told)
        now = store.query(rollup="place", depth=None)
        assert told == {f"place:{row.path}": (row.count, row.sums["amount"]) for row in now} | {
            name: seen for name, seen in told.items() if seen[0] == 0
        }
        assert counted["inserted"] == 7
        frame = change.to_dicts()[0]
        assert list(frame) == ["commit", "rollup", "path", "count", "measure_amount"]
        assert repr(change).startswith("<Change ")


@WITH_A_SERVER_IN_FULL
def test_changes_of_some_nodes_resume_and_say_what_cannot_be_told(opened: Callable[[], Store]) -> None:
    with opened() as store:
        first = store.ingest([order(1), order(2, country="FR", city="Lyon")]).commit
        store.ingest(order(3, "2.00"))
        with store.changes(("DE", "Ulm"), "FR", rollup="place", depth=0, since=first) as changes:
            change = next(changes)
            assert rows_of(change) == {"place:DE/Ulm": (2, Decimal("3.50"))}
            assert change.counts == {"inserted": 1}
            store.ingest(order(4, country="IT", city="Rome"))
            store.ingest(order(2, "1.00", "FR", "Lyon", version=2))
            seen: dict[str, Any] = {}
            while "place:FR" not in seen:
                seen |= rows_of(next(changes))
            assert seen == {"place:FR": (1, Decimal("1.00"))}
        with store.changes(since=10**6) as changes:
            change = next(changes)
            assert (change.reset != "", change.rows) == (True, ())
            store.ingest(order(5))
            assert "kind:DE" in rows_of(next(changes))
        with pytest.raises(oncefold.QueryError, match="there is no rollup 'nowhere'"):
            next(store.changes(rollup="nowhere"))


@WITH_A_SERVER_IN_FULL
def test_a_subscription_ends_while_another_thread_waits(opened: Callable[[], Store]) -> None:
    with opened() as store:
        store.ingest(order(1))
        changes = store.changes()
        told: list[oncefold.Change] = []
        waiting = threading.Thread(target=lambda: told.extend(changes))
        waiting.start()
        store.ingest(order(2))
        while not told:
            pass
        changes.close()
        waiting.join(20)
        assert not waiting.is_alive()
        assert sum(change.counts["inserted"] for change in told) == 1
        changes.close()


@WITH_A_SERVER_IN_FULL
def test_rejects_are_read_again_and_taken_off(opened: Callable[[], Store]) -> None:
    with opened() as store:
        store.ingest([order(1, "x"), order(2, "y")])
        assert store.redrive().counts == {Outcome.REJECTED: 2}
        assert store.discard(reject.id for reject in store.rejects(1)) == 1
        assert len(store.rejects()) == 1
        with pytest.raises(oncefold.QueryError):
            store.discard([999])
        with pytest.raises(oncefold.QueryError, match="not on the reject list: xyz"):
            store.discard(["xyz"])


def test_a_definition_is_replaced_and_subscribers_are_told(opened: Callable[[], Store]) -> None:
    new = {**SHOP, "rollups": {"place": ["country"]}, "measures": {**SHOP["measures"], "orders": {"count": "order"}}}  # type: ignore[dict-item]
    with opened() as store:
        store.ingest([order(1), order(2, 2)])
        changes = store.changes()
        tried = store.redefine(new, dry_run=True)
        assert (tried.commit, tried.events) == (0, 2)
        made = store.redefine(new)
        assert made.commit == store.status().commit.number
        assert {totals.rollup for totals in made.before} == {"place", "kind"}
        (after,) = made.after
        assert after.node.sums == {"amount": Decimal("3.50"), "orders": Decimal(2)}
        assert after.node.sums == store.totals().node.sums
        reset = next(change for change in changes if change.reset)
        assert reset.rows == ()
        store.ingest(order(3))
        assert next(changes).rows[0].sums["orders"] == 3
        changes.close()


def test_with_an_event_loop(tmp_path: Path) -> None:
    async def main() -> list[str]:
        told: list[str] = []
        async with oncefold.open_async(tmp_path / "shop.db", SHOP) as store:
            assert repr(store).startswith("<AsyncStore <Session ")
            async with store.changes("DE", rollup="place", depth=0) as changes:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(anext(changes), 0.01)
                done, status = await asyncio.gather(store.ingest(order(1)), store.status())
                assert (done.commit, status.commit.number) == (1, 1)
                async for change in changes:
                    told += [f"{row.path} {row.count} {row.sums['amount']}" for row in change]
                    if len(told) == 2:
                        break
                    await store.ingest(order(2, "2.25"))
            assert [change async for change in changes] == []
            with pytest.raises(oncefold.QueryError, match="there is no rollup 'x'"):
                await anext(store.changes(rollup="x"))
            told.append(str((await store.totals("DE", rollup="place")).node.count))
        with pytest.raises(oncefold.StoreError, match="the store is closed; open it again"):
            await store.query()
        await store.close()
        return told

    assert asyncio.run(main()) == ["DE 1 1.50", "DE 2 3.75", "2"]


def test_a_server_that_is_killed_is_waited_for_and_counts_once(tmp_path: Path, shop_toml: str) -> None:
    """kill -9 while events are sent and changes are followed; the same calls go on with the server that follows."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url, store = f"http://127.0.0.1:{port}", tmp_path / "shop.db"
    batches, size = sized(4, 12), 500
    sent: list[Outcome] = []

    async def follow(done: threading.Event) -> oncefold.Change:
        async with oncefold.connect_async(url) as client, client.changes(rollup="place", depth=0) as changes:
            started.set()
            last = None
            async for last in changes:
                if done.is_set() and last.rows and last.rows[0].count == batches * size:
                    break
            assert last is not None
            return last

    def send(done: threading.Event) -> None:
        started.wait()
        with oncefold.connect(url) as client:
            for batch in range(batches):
                client.ingest(order(batch * size + number) for number in range(size))
                sent.append(Outcome.INSERTED)
                if batch in killing:
                    kill.set()
            done.set()

    started, kill, done = threading.Event(), threading.Event(), threading.Event()
    killing = sized({1}, {1, 7})
    with ExitStack() as servers:
        server = servers.enter_context(Running(tmp_path, "--port", port, pipeline=shop_toml, store=store))
        found: list[oncefold.Change] = []
        follower = threading.Thread(target=lambda: found.append(asyncio.run(follow(done))))
        sender = threading.Thread(target=send, args=(done,))
        follower.start()
        sender.start()
        for _ in killing:
            assert kill.wait(60)
            kill.clear()
            server.kill()
            server = servers.enter_context(Running(tmp_path, "--port", port, pipeline=shop_toml, store=store))
        sender.join(120)
        with oncefold.connect(url) as client:
            client.ingest(order(1, version=2))
            assert client.totals(rollup="place").node.count == batches * size
            assert client.verify().exact
        follower.join(60)
    assert found
    assert found[0].rows[0].count == batches * size


def test_nothing_is_waited_for_longer_than_was_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with closing(oncefold.connect(f"http://127.0.0.1:{port}", retry_timeout=0)) as client:
        assert repr(client) == f"<ServerSession http://127.0.0.1:{port}>"
        with pytest.raises(oncefold.UnreachableError, match="no server answers there"):
            client.ingest(order(1))
    for call in (lambda: client.ingest(order(1)), client.status, client.redrive):
        with pytest.raises(oncefold.OncefoldError, match="the client is closed; connect again"):
            call()
    with pytest.raises(oncefold.OncefoldError, match="a server's URL begins with http"):
        oncefold.connect("127.0.0.1:8321")


@full_only("a server, 3 s")
def test_what_a_server_refuses_is_an_error(tmp_path: Path, shop_toml: str) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"read {TOKEN}\ningest {TOKEN}-ingest\nadmin {TOKEN}-admin\n")
    tokens.chmod(0o600)
    with Running(tmp_path, "--token-file", tokens, pipeline=shop_toml, token=f"{TOKEN}-admin") as running:
        url = f"http://127.0.0.1:{running.port}"
        with oncefold.connect(url, TOKEN) as client:
            for call in (lambda: client.ingest(order(1)), client.redrive, client.verify):
                with pytest.raises(oncefold.OncefoldError, match="token"):
                    call()
            with pytest.raises(oncefold.SourceError, match="cannot ingest int"):
                client.ingest(7)  # type: ignore[arg-type]
        with oncefold.connect(url, f"{TOKEN}-admin") as client:
            client.ingest(order(1))
            with pytest.raises(oncefold.OncefoldError, match="key"):
                client.redefine({**SHOP, "event": {"key": "city", "version": "version"}})


@full_only("a server, 4 s")
def test_tokens_of_the_environment_are_for_what_they_allow(
    tmp_path: Path, shop_toml: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"read {TOKEN}\ningest {TOKEN}-ingest\n")
    tokens.chmod(0o600)
    monkeypatch.setenv("ONCEFOLD_READ_TOKEN", TOKEN)
    monkeypatch.setenv("ONCEFOLD_INGEST_TOKEN", f"{TOKEN}-ingest")
    server = Running(tmp_path, "--token-file", tokens, pipeline=shop_toml, token=TOKEN)
    with server as running, oncefold.connect(f"http://127.0.0.1:{running.port}") as client:
        client.ingest(order(1))
        assert client.totals(rollup="place").node.count == 1
