"""One learner's functions in one world: execution environments, invocations observed and guarded, exceptions shown."""

import inspect
import json
import traceback
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import CodeType, ModuleType
from typing import Any

from botocore.exceptions import ClientError

from oncefold.core.errors import OncefoldError
from oncefold_lab.simulator.data_stream import ACCOUNT
from oncefold_lab.world.functions import Context, Handler
from oncefold_lab.world.scheduler import Process, ProcessEnded
from oncefold_workshop.course.functions import LearnerFunctions
from oncefold_workshop.course.observer import FunctionObserver, ObservedInvocation
from oncefold_workshop.course.sandbox import Loader, NotInTheLabError, SandboxGuard, TooLong
from oncefold_workshop.course.stubs import DynamoDBStub, Surroundings, boto3_modules, stub_modules
from oncefold_workshop.game.arena import Arena
from oncefold_workshop.pipelines.settings import PipelineSettings, TableNames


def _frames(own: Collection[Path], error: BaseException) -> list[traceback.FrameSummary]:
    """The frames of an exception that lie in the learner's files."""
    names = {str(file) for file in own}
    return [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in names]


def error_place(own: Collection[Path], error: BaseException) -> str:
    """Where in the learner's code an exception was raised; nothing if nowhere."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{Path(error.filename).name}, line {error.lineno}"
    frames = _frames(own, error)
    return f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""


def error_summary(own: Collection[Path], error: BaseException) -> str:
    """An exception and its line, in one line."""
    message = " ".join(traceback.format_exception_only(error)[-1].split())
    where = error_place(own, error)
    return f"{message} ({where})" if where else message


def error_trace(own: Collection[Path], error: BaseException) -> str:
    """The traceback of the learner's own code, and the exception."""
    frames = _frames(own, error)
    head = ["Traceback (your own code):\n", *traceback.format_list(frames)] if frames else []
    return "".join([*head, *traceback.format_exception_only(error)]).rstrip()


IDLE_SECONDS = 600.0
"""An environment that nobody used for so long is gone; AWS promises no time."""

Handle = Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True)
class LearnerEnvironment:
    """A module that was loaded, and its handler."""

    handle: Handle
    used_at: float


@dataclass(frozen=True, slots=True)
class Site:
    """What the environments of all functions share."""

    functions: LearnerFunctions
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    random: Random
    variables: Mapping[str, str]
    client: DynamoDBStub
    guard: SandboxGuard
    compiled: dict[Path, CodeType]
    """The learner's code by file."""


class Environments:
    """Those of one function: a free one is used again, and where there is none, another is made."""

    def __init__(self, site: Site, handler: str) -> None:
        self._site = site
        self._handler = handler
        self._free: list[LearnerEnvironment] = []

    def take(self) -> LearnerEnvironment:
        """An environment for one invocation. Raises OncefoldError for a module that cannot be loaded."""
        oldest = self._site.clock() - IDLE_SECONDS
        self._free = [free for free in self._free if free.used_at >= oldest]
        return self._free.pop() if self._free else LearnerEnvironment(self._load(), 0.0)

    def give_back(self, environment: LearnerEnvironment) -> None:
        """It may run another invocation."""
        self._free.append(LearnerEnvironment(environment.handle, self._site.clock()))

    def _load(self) -> Handle:
        site = self._site
        around = Surroundings(site.clock, site.sleep, Random(site.random.getrandbits(64)), site.variables)  # noqa: S311
        loader = Loader(site.functions, {**stub_modules(around), **boto3_modules(site.client)}, site.compiled)
        try:
            with site.guard.inside():
                module = loader.load()
        except TooLong:
            seconds = f"{site.guard.seconds:.0f} s"
            raise OncefoldError(
                f"--functions: {site.functions.module} has computed for {seconds} while it was imported"
            ) from None
        except (Exception, SystemExit) as error:
            trace = error_trace(site.compiled, error)
            raise OncefoldError(f"--functions: {site.functions.module} cannot be imported\n{trace}") from None
        return _handler(module, self._handler)


def _handler(module: ModuleType, name: str) -> Handle:
    """The handler of this name. Raises OncefoldError if there is none that takes an event and a context."""
    found = vars(module).get(name)
    file = Path(str(module.__file__)).name
    if not callable(found):
        own = [key for key, value in vars(module).items() if inspect.isfunction(value) and not key.startswith("_")]
        there = ", ".join(key for key in own if vars(module)[key].__module__ == module.__name__) or "none"
        raise OncefoldError(f"--functions: {file} has no function {name!r}; its functions are: {there}")
    try:
        inspect.signature(found).bind(None, None)
    except TypeError:
        raise OncefoldError(
            f"--functions: {name} of {file} takes {inspect.signature(found)}; "
            "Lambda calls a handler with two arguments: def handler(event, context)"
        ) from None
    handle: Handle = found
    return handle


class FailedError(Exception):
    """A learner's function has failed; its message is what Lambda would report."""


@dataclass(frozen=True, slots=True)
class LambdaContext:
    """What a handler gets as its context: Lambda's own names."""

    function_name: str
    aws_request_id: str
    world: Context
    function_version: str = "$LATEST"
    memory_limit_in_mb: int = 256

    @property
    def invoked_function_arn(self) -> str:
        """The function's ARN."""
        return f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{self.function_name}"

    @property
    def log_group_name(self) -> str:
        """Where its log would be."""
        return f"/aws/lambda/{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        """As in Lambda."""
        return self.world.get_remaining_time_in_millis()


def _check_answer(answer: Any) -> None:
    """Raises TypeError for what Lambda could not hand on."""
    try:
        json.dumps(answer)
    except (TypeError, ValueError) as error:
        raise TypeError(f"what the handler returns is no JSON: {error}") from None


@dataclass(frozen=True, slots=True)
class _Running:
    function: str
    invocation: ObservedInvocation


class Running:
    """Runs a learner's functions in an arena."""

    def __init__(self, functions: LearnerFunctions, arena: Arena, tables: TableNames) -> None:
        self.observer = FunctionObserver(tables)
        self.fatal: OncefoldError | None = None
        """Why the game cannot go on."""
        self._arena = arena
        self._guard = SandboxGuard()
        self._running: dict[Process, _Running] = {}
        self._site = Site(
            functions,
            arena.scheduler.clock,
            self._sleep,
            arena.random("functions"),
            PipelineSettings(tables).environment(),
            DynamoDBStub(arena.client("dynamodb"), self, self._guard),
            self._guard,
            {},
        )

    def handler(self, function: str, name: str) -> Handler:
        """The handler of this name, as the world invokes it. Raises OncefoldError for one that cannot be loaded."""
        environments = Environments(self._site, name)
        environments.give_back(environments.take())

        def handle(event: Mapping[str, Any], context: Context) -> Any:
            if self.fatal is not None:
                raise FailedError(str(self.fatal))
            invocation = self.observer.begins(function)
            try:
                environment = environments.take()
            except OncefoldError as error:
                raise self._stopped(error) from None
            self._running[context.process] = _Running(function, invocation)
            try:
                with self._guard.inside():
                    answer = environment.handle(event, LambdaContext(function, context.aws_request_id, context))
                _check_answer(answer)
            except ProcessEnded:
                self.observer.seen[function].timed_out += 1
                raise
            except TooLong as error:
                raise self._stuck(name, error) from None
            except (Exception, SystemExit) as error:
                environments.give_back(environment)
                raise self._failed(function, name, error) from None
            finally:
                del self._running[context.process]
            environments.give_back(environment)
            self.observer.ends(function, invocation)
            return answer

        return handle

    def _failed(self, function: str, name: str, error: BaseException) -> Exception:
        """What the world gets. One that fails before it ever succeeded ends the game."""
        first = not self.observer.seen[function].succeeded
        self.observer.fails(function, error_summary(self._site.compiled, error))
        if first or isinstance(error, NotInTheLabError):
            trace = error_trace(self._site.compiled, error)
            self._stopped(OncefoldError(f"{function} ({name} of {self._site.functions.module}) fails:\n{trace}"))
        return FailedError(f"{type(error).__name__} {error}")

    def _stuck(self, name: str, error: TooLong) -> Exception:
        where = error_place(self._site.compiled, error)
        message = (
            f"{name} has computed for {self._guard.seconds:.0f} s without a call, last at {where}: does a loop not end?"
        )
        return self._stopped(OncefoldError(message))

    def _stopped(self, error: OncefoldError) -> Exception:
        """Let the game end with this error; what the world gets."""
        self.fatal = self.fatal or error
        return FailedError(str(error))

    def _current(self, what: str) -> _Running:
        process = self._arena.tasks.current()
        running = None if process is None else self._running.get(process)
        if running is None:
            raise NotInTheLabError(f"{what} outside of an invocation: the lab has this only while a handler runs")
        return running

    def calling(self, operation: str, request: dict[str, Any]) -> None:  # noqa: ARG002 - of Visitor
        """See Visitor."""
        self._current(f"{operation} is called")

    def called(self, operation: str, request: dict[str, Any], refused: ClientError | None) -> None:
        """See Visitor."""
        running = self._current(operation)
        self.observer.called(running.function, running.invocation, operation, request, refused)

    def _sleep(self, seconds: float) -> None:
        """Let virtual time pass."""
        self._current("time.sleep is called")
        with self._guard.outside():
            self._arena.tasks.sleep(max(0.0, seconds))
