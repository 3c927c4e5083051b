"""A pipeline's whole stack on this machine, and the demonstration that sends messages until every total is right."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

from oncefold.aws.connect import client
from oncefold.aws.deploy.cloudformation import OnEvent, Polling
from oncefold.aws.deploy.deployment import DeployClients, Deployment
from oncefold.aws.deploy.parameters import MAPPINGS_ENABLED
from oncefold.aws.names import Names
from oncefold.aws.reader import open_stack
from oncefold.aws.stream.records import Line, pack
from oncefold.aws.stream.send import Sent, send
from oncefold.core.definition import Pipeline
from oncefold.core.errors import OncefoldError
from oncefold.core.nodepath import join
from oncefold.generate import Workload, generate, truth
from oncefold.queries.converters import Converter
from oncefold.queries.model import Amounts
from oncefold_lab.local.emulator import Emulator
from oncefold_lab.local.sample_events import SampleEvents
from oncefold_lab.local.stack import LocalStack

_TICKET = "oncefold-local"


class LocalPipeline:
    """The stack of a pipeline, deployed into an emulator that runs, and its functions.

    `with LocalPipeline(...) as local:` deploys, starts and stops; boto3 must be led to the emulator before.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        names: Names,
        emulator: Emulator,
        settings: Mapping[str, str],
        on_event: OnEvent,
        mode: str | None = None,
    ) -> None:
        """`settings` are parameters of the template; `on_event` gets the events of its deployment."""
        self._mode = mode
        self._pipeline = pipeline
        self._names = names
        self._emulator = emulator
        # The emulator's own mappings lose records (docs/AWS.md), and the driver here does their work.
        self._settings = {**settings, MAPPINGS_ENABLED: "false"}
        self._say = on_event
        self._opened = ExitStack()
        self.functions: LocalStack
        """The functions at work."""

    def __enter__(self) -> Self:
        deployment = Deployment(self._pipeline, self._names, DeployClients.connect(), Polling(time.sleep), self._mode)
        deployment.apply(deployment.plan(self._settings, None, _TICKET), self._say)
        stack = LocalStack.deployed(self._names, client, self._emulator.environment)
        self.functions = self._opened.enter_context(stack)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()


POLL_SECONDS = 0.5
IDLE_SECONDS = 900.0
_RECORD_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Messages:
    """What a demonstration sends, and the totals that follow from it."""

    lines: Callable[[], Iterator[bytes]]
    """JSON Lines, without line feeds."""
    count: int
    right: Mapping[tuple[str, str], Amounts]
    """By rollup and path, the roots first."""


def workshop_messages(pipeline: Pipeline, workload: Workload) -> Messages:
    """Messages of the workshop's kind for its pipeline: one rollup, one measure named `value`."""
    (rollup,) = pipeline.rollups
    right = {
        (rollup.name, path): Amounts(node["count"], {"value": Decimal(node["value"])})
        for path, node in truth(workload)["nodes"].items()
    }
    return Messages(
        lambda: (line for chunk in generate(workload) for line in chunk.splitlines()), workload.counts.events, right
    )


def sample_messages(pipeline: Pipeline, count: int, seed: int) -> Messages:
    """Messages of the shape that any definition describes. Raises OncefoldError if none can be made."""
    events, convert = SampleEvents(pipeline, count, seed), Converter(pipeline)
    right = {
        (pipeline.rollups[node.rollup].name, join(node.labels)): convert.total(total)
        for node, total in sorted(events.totals().items())
    }
    return Messages(events.lines, count, right)


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node as it is and as it will be."""

    rollup: str
    path: str
    amounts: Amounts
    right: Amounts

    @property
    def exact(self) -> bool:
        """Whether it is as it must be."""
        return self.amounts == self.right


@dataclass(frozen=True, slots=True)
class View:
    """One sample of the demonstration's totals."""

    seconds: float
    sent: int
    messages: int
    """How many will be sent."""
    nodes: tuple[NodeView, ...]

    @property
    def exact(self) -> int:
        """How many nodes are as they must be."""
        return sum(node.exact for node in self.nodes)


class Demo:
    """Sends messages into a stack whose functions are at work, and reads its totals meanwhile."""

    def __init__(self, names: Names, functions: LocalStack, kinesis: Any, messages: Messages) -> None:
        self._names = names
        self._functions = functions
        self._kinesis = kinesis
        self._messages = messages
        self._reader = open_stack(names.stack)
        self._sent = Sent()
        self._failure: BaseException | None = None

    def views(self, clock: Callable[[], float] = time.monotonic) -> Iterator[View]:
        """A view every half second, the last one when all that was sent is worked off. Raises OncefoldError."""
        begun = clock()
        done = threading.Event()
        thread = threading.Thread(target=self._work, args=(done,), daemon=True)
        thread.start()
        while not done.wait(POLL_SECONDS):
            yield self._view(clock() - begun)
        thread.join()
        if self._failure is not None:
            raise OncefoldError(f"the demonstration stopped: {self._failure}") from self._failure
        yield self._view(clock() - begun)

    def _work(self, done: threading.Event) -> None:
        try:
            records = pack(map(Line, self._messages.lines()), record_bytes=_RECORD_BYTES)
            send(self._kinesis, self._names.stream, records, on_progress=self._note)
            self._functions.wait_until_idle(IDLE_SECONDS)
        except Exception as error:
            self._failure = error
        finally:
            done.set()

    def _note(self, sent: Sent) -> None:
        self._sent = sent

    def _view(self, seconds: float) -> View:
        found = {
            (rollup.name, row.path): Amounts(row.count, row.sums)
            for rollup in self._reader.shape.rollups
            for row in self._reader.query(rollup=rollup.name, depth=None)
        }
        nothing = Amounts(0, {measure: Decimal(0) for measure in self._reader.shape.scales})
        nodes = tuple(NodeView(*name, found.pop(name, nothing), right) for name, right in self._messages.right.items())
        wrong = tuple(NodeView(*name, amounts, nothing) for name, amounts in found.items() if amounts != nothing)
        return View(seconds, self._sent.lines, self._messages.count, nodes + wrong)
