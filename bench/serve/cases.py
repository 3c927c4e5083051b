"""The four figures, each from one server's start to its end, and what each is compared with in the same run."""

import json
import statistics
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.inputs import Input, Inputs
from bench.runner import MeasurementError
from bench.serve import clients
from bench.serve.server import Server, serving
from bench.totals import digest_of_store
from oncefold.generate import Workload

_KIND: Final[dict[str, Any]] = {"modifications": 0.3, "duplicates": 0.1, "out_of_order": 0.01}
_QUESTION: Final = "/totals/risk?depth=all"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large it all is."""

    events: int
    """In a file."""
    rounds: int
    """Files that are measured; the median counts."""
    bodies: int
    """Side by side, when a file is sent."""
    singles: int
    """Clients that send one event at a time ..."""
    seconds: float
    """... for so long, in each of the rounds."""
    subscribers: int


LARGE: Final = Sizes(events=1_000_000, rounds=5, bodies=4, singles=200, seconds=5.0, subscribers=500)
SMALL: Final = Sizes(events=2_000, rounds=1, bodies=2, singles=8, seconds=0.3, subscribers=8)


@dataclass(frozen=True, slots=True)
class Found:
    """All figures of one run."""

    answers_per_second: Sequence[float]
    """Of single events, by round."""
    answer_seconds: Sequence[tuple[float, float]]
    """Median and 99th percentile of each round."""
    file_rates: Sequence[float]
    """Events per second, by round."""
    http_rates: Sequence[float]
    reader: dict[str, Any]
    quiet_reader: dict[str, Any]
    pairs: Sequence[tuple[float, float]]
    """Rates without subscribers and with them, one after the other."""
    messages: int
    sha256: str

    @property
    def ingest_share(self) -> float:
        """Ingest over HTTP to the engine's own rate."""
        return statistics.median(self.http_rates) / statistics.median(self.file_rates)

    @property
    def kept(self) -> float:
        """The rate with subscribers to the rate without."""
        return statistics.median(with_them / without for without, with_them in self.pairs)

    @property
    def p99(self) -> float:
        """The median of the rounds."""
        return statistics.median(p99 for _, p99 in self.answer_seconds)

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return statistics.median(median for median, _ in self.answer_seconds)


def measure(sizes: Sizes, folder: Path, inputs: Inputs, checkouts: Sequence[Path]) -> list[Found]:
    """Everything, of the code of each checkout, case by case in turn.

    Raises MeasurementError where an answer is not 200 or totals are wrong.
    """
    files = [inputs.of(Workload(count=sizes.events, seed=seed, **_KIND), "jsonl") for seed in range(sizes.rounds + 1)]
    places = [_Place(checkout, folder / str(number)) for number, checkout in enumerate(checkouts)]
    for place in places:
        place.folder.mkdir()
    answers = [_singles(sizes, place) for place in places]
    rates = [_rates(sizes, place, files) for place in places]
    readers = [_reader(sizes, place, files) for place in places]
    subscribers = [_subscribers(sizes, place, files) for place in places]
    return [
        Found(
            [found["answers"] / found["seconds"] for found in rounds],
            [(found["median"], found["p99"]) for found in rounds],
            file_rates,
            http_rates,
            reader,
            quiet_reader,
            pairs,
            messages,
            sha256,
        )
        for rounds, (file_rates, http_rates, sha256), (quiet_reader, reader), (pairs, messages) in zip(
            answers, rates, readers, subscribers, strict=True
        )
    ]


@dataclass(frozen=True, slots=True)
class _Place:
    """Whose code is measured, and where its stores are."""

    checkout: Path
    folder: Path

    def serving(self, name: str) -> AbstractContextManager[Server]:
        """A server of it."""
        return serving(self.folder / name, self.checkout)


def _singles(sizes: Sizes, place: _Place) -> list[dict[str, Any]]:
    with place.serving("singles.db") as server:
        clients.singles(server.port, sizes.singles, sizes.seconds, "warming1")
        rounds = [
            clients.singles(server.port, sizes.singles, sizes.seconds, f"round{number:03}")
            for number in range(sizes.rounds)
        ]
    if any(found["errors"] for found in rounds):
        raise MeasurementError(f"not every event was acknowledged: {rounds}")
    return rounds


def _rates(sizes: Sizes, place: _Place, files: Sequence[Input]) -> tuple[list[float], list[float], str]:
    """The engine's own rate, and ingest over HTTP; both have folded a file before."""
    paths = [str(file.files[0]) for file in files]
    options = json.dumps({"files": paths, "store": str(place.folder / "engine.db")})
    engine = clients.run("bench.serve.engine", options, checkout=place.checkout)
    with place.serving("http.db") as server:
        seconds = _send(sizes, server, *files)[1:]
    found = digest_of_store(place.folder / "http.db")
    if found != engine["sha256"]:
        raise MeasurementError(f"over HTTP the totals are {found}, from the file {engine['sha256']}")
    return _per_second(files[1:], engine["seconds"]), _per_second(files[1:], seconds), found


def _per_second(files: Sequence[Input], seconds: Sequence[float]) -> list[float]:
    return [sum(file.events) / took for file, took in zip(files, seconds, strict=True)]


def _send(sizes: Sizes, server: Server, *files: Input) -> list[float]:
    """The seconds until all of each file is acknowledged; one is sent after the other."""
    paths = [str(file.files[0]) for file in files]
    found = clients.client("send", port=server.port, files=paths, connections=sizes.bodies)
    if found["failed"]:
        raise MeasurementError(f"a body was not taken: {found['failed'][0]}")
    return [float(seconds) for seconds in found["seconds"]]


def _reader(sizes: Sizes, place: _Place, files: Sequence[Input]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A reader of all totals, without ingest and while files are sent one after the other."""
    with place.serving("reader.db") as server:
        _send(sizes, server, files[0])
        with clients.beside("read", port=server.port, path=_QUESTION) as quiet:
            time.sleep(sizes.seconds)
        with clients.beside("read", port=server.port, path=_QUESTION) as busy:
            _send(sizes, server, *files[1:])
    for found in (quiet, busy):
        if found["errors"] or not found["answers"]:
            raise MeasurementError(f"a reader was not answered: {found}")
    return quiet, busy


def _subscribers(sizes: Sizes, place: _Place, files: Sequence[Input]) -> tuple[list[tuple[float, float]], int]:
    """All files in turn without subscribers and with them, each time into a store that has folded the first before."""
    pairs, messages = [], 0
    events = sum(sum(file.events) for file in files[1:])
    for number in range(sizes.rounds):
        rates = []
        order = (0, sizes.subscribers) if number % 2 else (sizes.subscribers, 0)
        for many in order:
            with place.serving(f"subscribers-{number}-{many}.db") as server:
                _send(sizes, server, files[0])
                with clients.beside("subscribe", port=server.port, connections=many) as found:
                    rates.append((many, events / sum(_send(sizes, server, *files[1:]))))
                if many and found["fewest"] < 1:
                    raise MeasurementError("a subscriber was told of no commit")
                messages += found["messages"]
        by_many = dict(rates)
        pairs.append((by_many[0], by_many[sizes.subscribers]))
    return pairs, messages


def spread(values: Sequence[float]) -> str:
    """The median, and the least and greatest."""
    return f"{statistics.median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"
