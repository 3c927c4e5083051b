"""The three jobs of `examples/jobs`: every total is what SQL computes from the same files, however they are cut."""

import random
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal
from itertools import accumulate
from pathlib import Path
from typing import Any

import duckdb
import pytest

import oncefold
from oncefold.cli.main import main
from oncefold.core.nodepath import join

JOBS = Path(__file__).parents[2] / "examples" / "jobs"
EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)

ORDERS = """
WITH newest AS (
    SELECT *, row_number() OVER (PARTITION BY order_id ORDER BY updated_at::TIMESTAMPTZ DESC) AS rank
    FROM read_json('{file}', columns = {{order_id: 'TEXT', ordered_at: 'TEXT', updated_at: 'TEXT', country: 'TEXT',
        channel: 'TEXT', qty: 'DECIMAL(12, 0)', unit_price: 'DECIMAL(12, 3)', discount: 'DECIMAL(4, 3)', status: 'TEXT',
        deleted: 'BOOLEAN'}})),
counted AS (
    SELECT upper(trim(country)) AS land, coalesce(channel, '(none)') AS sold, status = 'refunded' AS back,
        strftime(ordered_at::TIMESTAMPTZ AT TIME ZONE 'Europe/Berlin', '%Y-%m') AS month,
        (qty * unit_price * (1 - coalesce(discount, 0)))::DECIMAL(30, 6) * 100 AS cents
    FROM newest WHERE rank = 1 AND deleted IS NULL AND status IN ('paid', 'shipped', 'refunded')),
rounded AS (
    SELECT *, (CASE WHEN cents - floor(cents) > 0.5 OR (cents - floor(cents) = 0.5 AND floor(cents) % 2 = 1)
        THEN floor(cents) + 1 ELSE floor(cents) END)::DECIMAL(30, 0) AS net FROM counted)
SELECT land, sold, month, count(*), sum(CASE WHEN back THEN 0 ELSE net END), sum(CASE WHEN back THEN net ELSE 0 END),
    count(*) FILTER (back), sum(net) FROM rounded GROUP BY ALL
"""
METERING = """
WITH readings AS (SELECT * FROM read_csv('{file}', delim = ';', all_varchar = true)),
newest AS (
    SELECT *, row_number() OVER (PARTITION BY meter, hour ORDER BY revision::INTEGER DESC) AS rank FROM readings)
SELECT customer, hour[1:7], hour[1:10], count(*),
    coalesce(sum(replace(replace(nullif(kwh, 'n/a'), '.', ''), ',', '.')::DECIMAL(20, 3)), 0),
    count(nullif(kwh, 'n/a')),
    coalesce(sum(replace(replace(nullif(kwh, 'n/a'), '.', ''), ',', '.')::DECIMAL(20, 3)) FILTER (tariff = 'night'), 0)
FROM newest WHERE rank = 1 GROUP BY ALL
"""
POSITIONS = """
WITH changes AS (
    SELECT op, source.lsn AS lsn, CASE WHEN op = 'd' THEN "before" ELSE "after" END AS r
    FROM read_json('{file}', format = 'newline_delimited', columns = {{op: 'TEXT', source: 'STRUCT(lsn BIGINT)',
        "before": '{row}', "after": '{row}'}}) WHERE op IS NOT NULL),
newest AS (SELECT *, row_number() OVER (PARTITION BY r.trade_id ORDER BY lsn DESC) AS rank FROM changes),
live AS (
    SELECT r.*, CASE WHEN r.side = 'BUY' THEN r.qty ELSE -r.qty END AS signed FROM newest WHERE rank = 1 AND op <> 'd')
SELECT book, instrument, count(*), sum(signed)::DECIMAL(20, 0), sum(signed * price)::DECIMAL(30, 4),
    coalesce(sum(qty) FILTER (side = 'BUY'), 0)::DECIMAL(20, 0), sum(price)::DECIMAL(20, 4) FROM live GROUP BY ALL
"""
_TRADE = "STRUCT(trade_id BIGINT, book TEXT, instrument TEXT, side TEXT, qty BIGINT, price DECIMAL(10, 4))"

Totals = dict[tuple[str, str], tuple[int, Mapping[str, Decimal | None]]]


def of_sql(sql: str, file: Path) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        return connection.execute(sql.format(file=file, row=_TRADE)).fetchall()


def summed(leaves: Iterable[tuple[dict[str, tuple[str, ...]], list[Decimal]]]) -> dict[tuple[str, str], list[Decimal]]:
    """Every node of every rollup: the sum of the leaves below it."""
    nodes: dict[tuple[str, str], list[Decimal]] = {}
    for paths, values in leaves:
        for rollup, labels in paths.items():
            for node in [(), *accumulate((label,) for label in labels)]:
                known = nodes.setdefault((rollup, join(node)), [Decimal(0)] * len(values))
                known[:] = [EXACT.add(a, b) for a, b in zip(known, values, strict=True)]
    return nodes


def mean(total: Decimal, number: Decimal, places: int) -> Decimal | None:
    return EXACT.divide(total, number).quantize(Decimal(1).scaleb(-places), context=EXACT) if number else None


def orders(file: Path) -> Totals:
    rows = of_sql(ORDERS, file)
    nodes = summed(
        ({"by_country": (land, sold), "by_month": (month,)}, [*map(Decimal, numbers)])
        for land, sold, month, *numbers in rows
    )
    return {
        node: (
            int(count),
            {
                "revenue": kept.scaleb(-2),
                "refunded": back.scaleb(-2),
                "refunds": refunds,
                "mean_order": mean(net.scaleb(-2), count, 2),
            },
        )
        for node, (count, kept, back, refunds, net) in nodes.items()
    }


def metering(file: Path) -> Totals:
    rows = of_sql(METERING, file)
    nodes = summed(
        ({"bills": (customer, month), "days": (day,)}, [*map(Decimal, numbers)])
        for customer, month, day, *numbers in rows
    )
    return {
        node: (int(count), {"kwh": kwh, "hours": hours, "mean_kwh": mean(kwh, hours, 6), "night_kwh": night})
        for node, (count, kwh, hours, night) in nodes.items()
    }


def positions(file: Path) -> Totals:
    rows = of_sql(POSITIONS, file)
    nodes = summed(
        ({"by_book": (book, instrument), "by_instrument": (instrument,)}, [*map(Decimal, numbers)])
        for book, instrument, *numbers in rows
    )
    return {
        node: (
            int(count),
            {"position": signed, "exposure": exposure, "bought": bought, "mean_price": mean(prices, count, 4)},
        )
        for node, (count, signed, exposure, bought, prices) in nodes.items()
    }


JOB = [
    ("orders", "orders.jsonl", orders),
    ("metering", "readings.csv", metering),
    ("positions", "trade.jsonl", positions),
]


def found(store: Path) -> Totals:
    with oncefold.open_reader(store) as reader:
        assert reader.verify().exact
        assert not reader.status().conflicts
        return {
            (rollup.name, row.path): (row.count, dict(row.sums))
            for rollup in reader.shape.rollups
            for row in reader.query(rollup=rollup.name, depth=None)
        }


def test_the_page_shows_the_definitions() -> None:
    page = (JOBS.parents[1] / "docs" / "DEFINITION.md").read_text(encoding="utf-8")
    for job, *_ in JOB:
        text = (JOBS / job / "pipeline.toml").read_text(encoding="utf-8")
        assert f"```toml\n{text}```" in page, job


@pytest.mark.parametrize(("job", "events", "expected"), JOB, ids=[job for job, *_ in JOB])
def test_every_total_is_what_sql_computes(job: str, events: str, expected: Any, tmp_path: Path) -> None:
    source, pipeline = JOBS / job / events, JOBS / job / "pipeline.toml"
    truth = expected(source)
    assert len(truth) > 10
    whole, cut = tmp_path / "whole.db", tmp_path / "cut.db"
    assert main(["run", str(pipeline), str(source), "--store", str(whole), "--max-rejects", "0"]) == 0
    assert found(whole) == truth

    head, *records = source.read_text(encoding="utf-8").splitlines(keepends=True)
    if not events.endswith(".csv"):
        records, head = [head, *records], ""
    random.Random(job).shuffle(records)
    halves = [records[: len(records) // 2], records[len(records) // 3 :]]
    for number, part in enumerate(halves):  # a sixth of them twice, all in another order
        piece = tmp_path / f"{number}-{events}"
        piece.write_text(head + "".join(part), encoding="utf-8")
        assert main(["run", str(pipeline), str(piece), "--store", str(cut)]) == 0
    assert found(cut) == truth
