"""The cases: what is measured, on which input, and what of it goes into the table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bench.inputs import Input, Inputs
from bench.report import Row
from bench.runner import Result, Runner
from bench.sizes import Sizes

KEY_BYTES: Final = 36
"""Of the text of a generated key."""

_MOST_MB: Final = 512
_MB: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Bench:
    """What a case works with."""

    sizes: Sizes
    inputs: Inputs
    runner: Runner

    def row(self, metric: str, value: str, target: str, met: bool, result: Result) -> Row:  # noqa: FBT001
        """A row with a target, which counts at the large sizes only."""
        return Row(metric, value, target, met if self.sizes.targets else None, result["sha256"])

    def fold(self, suffix: str, workload: Any = None) -> Result:
        """The events of the stream, or of another, folded into a fresh store."""
        return self.runner.fastest("fold", self.inputs.of(workload or self.sizes.stream, suffix))


@dataclass(frozen=True, slots=True)
class Found:
    """What a case found: rows of the table, and perhaps a table of its own."""

    rows: Sequence[Row]
    details: str = ""
    failed: bool = False


def rate(result: Result) -> float:
    """Events per second."""
    return float(result["events"]) / float(result["seconds"])


def _speed(bench: Bench, metric: str, suffix: str, least: int = 0) -> Found:
    result = bench.fold(suffix)
    value = f"{rate(result):,.0f} events/s"
    metric = f"{metric}, {result['events']:,} events into a fresh store"
    if not least:
        return Found([Row(metric, value, sha256=result["sha256"])])
    return Found([bench.row(metric, value, f"≥ {least:,}", rate(result) >= least, result)])


def jsonl(bench: Bench) -> Found:
    """JSON Lines into a fresh store."""
    return _speed(bench, "JSON Lines", "jsonl", 1_000_000)


def parquet(bench: Bench) -> Found:
    """The same events from Parquet."""
    return _speed(bench, "Parquet", "parquet", 3_000_000)


def csv(bench: Bench) -> Found:
    """The same events from CSV."""
    return _speed(bench, "CSV", "csv")


def jsonl_zst(bench: Bench) -> Found:
    """The same events from JSON Lines under zstd."""
    return _speed(bench, "JSON Lines under zstd", "jsonl.zst")


def many_keys(bench: Bench) -> Found:
    """The rate when the store holds many keys, relative to the rate when it holds few."""
    sizes = bench.sizes
    few, many = (
        bench.runner.fastest("grown", bench.inputs.split(sizes.grown(keys), sizes.portion))
        for keys in (sizes.few_keys, sizes.many_keys)
    )
    rows = [
        Row(f"JSON Lines at {result['keys']:,} keys", f"{rate(result):,.0f} events/s", sha256=result["sha256"])
        for result in (few, many)
    ]
    ratio = rate(many) / rate(few)
    metric = f"rate at {many['keys']:,} keys to rate at {few['keys']:,}"
    return Found([*rows, bench.row(metric, f"{ratio:.0%}", "≥ 70 %", ratio >= 0.7, many)])


def leaves(bench: Bench) -> Found:
    """The rate with many leaves, relative to the workshop's twelve."""
    few, many = bench.fold("jsonl"), bench.fold("jsonl", bench.sizes.bushy)
    ratio = rate(many) / rate(few)
    name = f"{bench.sizes.many_leaves:,} leaves"
    return Found(
        [
            Row(f"JSON Lines with {name}", f"{rate(many):,.0f} events/s", sha256=many["sha256"]),
            bench.row(f"rate with {name} to rate with 12", f"{ratio:.0%}", "≥ 40 %", ratio >= 0.4, many),
        ]
    )


def memory(bench: Bench) -> Found:
    """Memory per key, and memory that does not grow with the file."""
    return Found([*_per_key(bench), *_per_file(bench)])


def _per_key(bench: Bench) -> list[Row]:
    given, result = _stored(bench)
    rows = []
    for when, added in (("after the run", result["added_now"]), ("at its peak", result["added_peak"])):
        per_key = added / given.keys - KEY_BYTES
        metric = f"memory per key beyond its text, {given.keys:,} keys, {when}"
        rows.append(bench.row(metric, f"{per_key:.0f} bytes", "≤ 120", per_key <= 120, result))
    return [*rows, _growth_per_key(bench, given, result)]


def _growth_per_key(bench: Bench, given: Input, result: Result) -> Row:
    """What a further key adds to the peak: without all that is there whatever the number of keys."""
    half = bench.inputs.of(bench.sizes.half_stored, "parquet")
    added = result["added_peak"] - bench.runner.once("memory", half)["added_peak"]
    per_key = added / (given.keys - half.keys) - KEY_BYTES
    metric = f"growth of that peak per key beyond its text, {half.keys:,} to {given.keys:,} keys"
    return bench.row(metric, f"{per_key:.0f} bytes", "≤ 120", per_key <= 120, result)


def _per_file(bench: Bench) -> list[Row]:
    """Beyond the keyed state of few keys there are the batches in flight, whatever the size of the file."""
    sizes = bench.sizes
    rows = []
    for times in (1, 4):
        result = bench.runner.once("memory", bench.inputs.of(sizes.long(times), "jsonl"))
        peak = result["added_peak"]
        metric = f"peak memory of a run over {result['bytes'] / _MB:,.0f} MB of {sizes.file_keys:,} keys"
        rows.append(bench.row(metric, f"{peak / _MB:,.0f} MB", f"≤ {_MOST_MB} MB", peak <= _MOST_MB * _MB, result))
    return rows


def _stored(bench: Bench) -> tuple[Input, Result]:
    given = bench.inputs.of(bench.sizes.stored, "parquet")
    return given, bench.runner.once("memory", given)


def reopen(bench: Bench) -> Found:
    """Opening a store of many keys."""
    given, filled = _stored(bench)
    result = bench.runner.fastest("reopen", None, store=filled["store"])
    if (result["sha256"], result["keys"]) != (given.sha256, given.keys):
        raise ValueError("the reopened store holds other totals or keys")
    metric = f"reopening a store of {result['keys']:,} keys ({result['file_bytes'] / _MB:,.0f} MB)"
    seconds = result["seconds"]
    per_key = result["added_peak"] / given.keys - KEY_BYTES
    return Found([
        bench.row(metric, f"{seconds:.2f} s", "< 10 s", seconds < 10, result),
        bench.row("memory per key beyond its text, reopened, at its peak", f"{per_key:.0f} bytes", "≤ 120",
                  per_key <= 120, result),
    ])  # fmt: skip


def redefine(bench: Bench) -> Found:
    """What keeping whole events costs, and replacing the definition of a store of many keys."""
    result = bench.runner.once("redefine", bench.inputs.of(bench.sizes.stored, "jsonl"))
    keys, seconds = result["keys"], result["redefine_seconds"]
    share = result["seconds_plain"] / result["seconds"]
    per_key = (result["bytes_kept"] - result["bytes_plain"]) / keys
    return Found(
        [
            Row(f"rate with whole events kept to rate without, {result['events']:,} events", f"{share:.0%}"),
            Row(f"store with whole events kept, beyond one without, {keys:,} keys", f"{per_key:.0f} bytes per key"),
            bench.row(
                f"a filter, a rollup and a measure more over {keys:,} keys",
                f"{seconds:.1f} s",
                "< 60 s",
                seconds < 60,
                result,
            ),
            Row("memory for that, at its peak", f"{result['added_peak'] / keys:.0f} bytes per key"),
        ]
    )


def measures(bench: Bench) -> Found:
    """What measures besides sums cost."""
    keys = bench.sizes.stored_keys
    result = bench.runner.once("measures", bench.inputs.of(bench.sizes.stream, "jsonl"), keys=keys)
    share = result["seconds_plain"] / result["seconds"]
    added = result["bytes_per_key"] - result["bytes_per_key_plain"]
    least, other = result["delete_least_seconds"] * 1000, result["delete_seconds"] * 1000
    return Found(
        [
            bench.row(
                f"rate with a filter, product, min, max, avg, distinct to that of a sum, {result['events']:,} events",
                f"{share:.0%}",
                "≥ 40 %",
                share >= _LEAST_SHARE,
                result,
            ),
            bench.row(
                f"memory for min, max and 1,000,000 different values, {keys:,} keys",
                f"{added:.0f} bytes per key",
                "≤ 60 bytes per key",
                added <= _MOST_ADDED_BYTES,
                result,
            ),
            bench.row(
                f"a deleted key that was the least of its node to any other deleted key, {keys:,} keys",
                f"{least:.0f} ms to {other:.0f} ms",
                "≤ 100 ms more",
                least - other <= _MOST_REPAIR_MS,
                result,
            ),
        ]
    )


_LEAST_SHARE: Final = 0.4
_MOST_ADDED_BYTES: Final = 60
_MOST_REPAIR_MS: Final = 100


def latency(bench: Bench) -> Found:
    """How fresh the totals are while input arrives slowly."""
    sizes = bench.sizes
    given = bench.inputs.of(sizes.slow_stream, "jsonl")
    rows = []
    for through, name in (("pipe", "a pipe"), ("file", "a growing file")):
        result = bench.runner.once("latency", given, rate=sizes.slow_rate, through=through)
        stream = f"{sizes.slow_rate:,} events/s through {name}"
        times = f"{result['median'] * 1000:.0f} ms, {result['max'] * 1000:.0f} ms"
        gap = result["longest_gap"]
        commits = result["commits"] / result["seconds"]
        rows += [
            Row(f"{stream}: from write to visible, median and longest", times, sha256=result["sha256"]),
            Row(f"{stream}: commits", f"{commits:.1f} /s", sha256=result["sha256"]),
            bench.row(
                f"{stream}: longest time between commits", f"{gap * 1000:.0f} ms", "≤ 250 ms", gap <= 0.25, result
            ),
        ]
    return Found(rows)


def profile(bench: Bench) -> Found:
    """Where the time of the JSON Lines case goes."""
    result = bench.runner.fastest("stages", bench.inputs.of(bench.sizes.stream, "jsonl"))
    stages = {**result["stages"], "all": [sum(times) for times in zip(*result["stages"].values(), strict=True)]}
    total = stages["all"][0]
    lines = [
        "Nanoseconds per event of each stage of the JSON Lines case, the stages one after the other:",
        "",
        "| stage | processor time | share | of it in the kernel | elapsed |",
        "|---|--:|--:|--:|--:|",
        *(
            f"| {stage} | {cpu:.0f} | {cpu / total:.0%} | {kernel:.0f} | {elapsed:.0f} |"
            for stage, (cpu, kernel, elapsed) in stages.items()
        ),
    ]
    row = Row("processor time per event, JSON Lines", f"{total:.0f} ns", sha256=result["sha256"])
    return Found([row], "\n".join(lines))


def shapes(bench: Bench) -> Found:
    """What common writers make of the same events, against plain lines."""
    result = bench.runner.fastest("shapes", bench.inputs.of(bench.sizes.shaped, "jsonl"))
    plain = result["shapes"]["plain"]
    lines = [
        f"Processor time per event of the shapes in which common writers give {result['events']:,} events:",
        "",
        "| shape | ns per event | times plain | events/s |",
        "|---|--:|--:|--:|",
        *(
            f"| {name} | {time:,.0f} | {time / plain:.1f} | {result['rates'][name]:,.0f} |"
            for name, time in result["shapes"].items()
        ),
    ]
    of_all = {name: rate for name, rate in result["rates"].items() if name.startswith("all ")}
    most = max(time for name, time in result["shapes"].items() if name not in of_all) / plain
    least = min(of_all.values())
    rows = [
        bench.row("slowest shape to plain JSON Lines", f"{most:.1f} times", "≤ 3 times", most <= 3, result),
        bench.row("slowest stream of rejects or conflicts alone", f"{least:,.0f} events/s", "≥ 200,000",
                  least >= 200_000, result),
    ]  # fmt: skip
    return Found(rows, "\n".join(lines))


_COMMANDS: Final = {
    "--help": 0.15,
    "run of five events": 1.0,
    "query": 0.5,
    "explain": 0.5,
    "history": 0.5,
    "serve, until it is ready": 1.5,
}
"""The most seconds that these may take."""
_RUN_TIMES, _FURTHER_TIMES = 1.3, 0.3
"""How long runs may take, as times of DuckDB's query, each a whole command."""


def commands(bench: Bench) -> Found:
    """Whole commands, and DuckDB's one query over the same file."""
    result = bench.runner.once("commands", bench.inputs.of(bench.sizes.commanded, "jsonl"), times=bench.sizes.times)
    seconds: dict[str, float | None] = result["commands"]
    query, command = seconds.pop("query by DuckDB"), seconds.pop("command of DuckDB")
    events = f"of {bench.sizes.commands:,} events"
    rows = [
        bench.row(f"`oncefold` {name}", f"{seconds[name]:.2f} s", f"≤ {most} s", (seconds[name] or 0) <= most, result)
        for name, most in _COMMANDS.items()
    ]
    if query is None or command is None:
        runs = [Row(f"`oncefold` {name} ({events})", f"{seconds[name]:.2f} s") for name in ("run", "run of 1 % more")]
        return Found([*rows, *runs, Row("DuckDB's one query over the same file", "not installed")])
    duckdb = f"DuckDB's one query {events}, nothing kept"
    rows.append(Row(f"{duckdb}, without its process", f"{query:.2f} s", sha256=result["sha256"]))
    rows.append(Row(f"{duckdb}, as a whole command", f"{command:.2f} s", sha256=result["sha256"]))
    for name, most in (("run", _RUN_TIMES), ("run of 1 % more", _FURTHER_TIMES)):
        took = seconds[name] or 0
        value = f"{took:.2f} s, {took / command:.2f} times"
        met = took / command <= most
        rows.append(bench.row(f"`oncefold` {name} ({events})", value, f"≤ {most} times", met, result))
    return Found(rows)


CASES: Final[dict[str, Callable[[Bench], Found]]] = {
    "jsonl": jsonl,
    "parquet": parquet,
    "csv": csv,
    "jsonl.zst": jsonl_zst,
    "jsonl-20m-keys": many_keys,
    "leaves-100k": leaves,
    "memory": memory,
    "reopen": reopen,
    "redefine": redefine,
    "measures": measures,
    "latency": latency,
    "profile": profile,
    "shapes": shapes,
    "commands": commands,
}
