"""One learner's functions in one world: execution environments, and invocations that are observed and guarded."""

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import CodeType, ModuleType
from typing import Any, TextIO

from botocore.exceptions import ClientError

from oncefold.core.errors import OncefoldError
from oncefold_lab.simulator.data_stream import ACCOUNT
from oncefold_lab.world.functions import Context, Handler
from oncefold_lab.world.scheduler import Process, ProcessEnded
from oncefold_workshop.course.functions import HandlerPlace
from oncefold_workshop.course.logs import open_log
from oncefold_workshop.course.observer import FunctionObserver, ObservedInvocation
from oncefold_workshop.course.policy import Policy
from oncefold_workshop.course.sandbox import Loader, NotInTheLabError, SandboxGuard, TooLong
from oncefold_workshop.course.stubs import DynamoDBStub, Surroundings, boto3_modules, stub_modules
from oncefold_workshop.course.tracebacks import error_place, error_summary, error_trace
from oncefold_workshop.game.arena import Arena
from oncefold_workshop.pipelines.settings import InducedFailure, PipelineSettings, TableNames

IDLE_SECONDS = 600.0
"""An environment that was not used for so long is gone; AWS promises no time."""

Handle = Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True)
class LearnerEnvironment:
    """A module that was loaded, and its handler."""

    handle: Handle
    used_at: float


@dataclass(frozen=True, slots=True)
class Site:
    """What the environments of all functions share."""

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

    def __init__(self, site: Site, place: HandlerPlace, log: TextIO) -> None:
        self._site = site
        self._place = place
        self._log = log
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
        stubs = {**stub_modules(around), **boto3_modules(site.client)}
        loader = Loader(self._place, stubs, site.compiled, self._log)
        name = self._place.module
        try:
            with site.guard.inside():
                module = loader.load()
        except TooLong:
            seconds = f"{site.guard.seconds:.0f} s"
            raise OncefoldError(f"--functions: {name} has computed for {seconds} while it was imported") from None
        except (Exception, SystemExit) as error:
            trace = error_trace(site.compiled, error)
            raise OncefoldError(f"--functions: {name} cannot be imported\n{trace}") from None
        return _handler(module, self._place.name)


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


def _denied(function: str, operation: str, action: str, resource: str) -> ClientError:
    """What AWS answers where no policy allows a call."""
    user = f"arn:aws:sts::{ACCOUNT}:assumed-role/{function}Role/{function}"
    message = (
        f"User: {user} is not authorized to perform: {action} on resource: {resource} "
        f"because no identity-based policy allows the {action} action"
    )
    name = "".join(part.capitalize() for part in operation.split("_"))
    return ClientError({"Error": {"Code": "AccessDeniedException", "Message": message}}, name)


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


@dataclass(slots=True)
class _Running:
    function: str
    invocation: ObservedInvocation
    request: str
    reads_percentage: bool = False


class Running:
    """Runs a learner's functions in an arena."""

    def __init__(self, arena: Arena, tables: TableNames, logs: Path | None = None, *, quiet: bool = False) -> None:
        """`logs`: the folder of the functions' logs; without one stderr has them, or nothing if `quiet`."""
        self.observer = FunctionObserver(tables)
        self.fatal: OncefoldError | None = None
        """Why the game cannot go on."""
        self._arena = arena
        self._tables = tables
        self._logs, self._quiet = logs, quiet
        self._ended = ""
        """The invocation that a line of a log is about, where none runs any more."""
        self._guard = SandboxGuard()
        self._running: dict[Process, _Running] = {}
        self._policies: dict[str, Policy] = {}
        self._files: dict[str, TextIO] = {}
        """The log of each function."""
        arena.induced = self._induced
        self._site = Site(
            arena.scheduler.clock,
            self._sleep,
            arena.random("functions"),
            PipelineSettings(tables).environment(),
            DynamoDBStub(arena.client("dynamodb"), self, self._guard),
            self._guard,
            {},
        )

    def handler(self, function: str, place: HandlerPlace, policy: Policy | None = None) -> Handler:
        """A handler as the world invokes it. Raises OncefoldError for one that cannot be loaded.

        With a policy it makes the calls that this allows, and no others.
        """
        if policy is not None:
            self._policies[function] = policy
        log = self._files[function] = self._opened(function)
        if self._logs is not None:
            self._arena.closing.append(log.close)
        environments = Environments(self._site, place, log)
        environments.give_back(environments.take())

        def handle(event: Mapping[str, Any], context: Context) -> Any:
            if self.fatal is not None:
                raise FailedError(str(self.fatal))
            invocation = self.observer.begins(function)
            try:
                environment = environments.take()
            except OncefoldError as error:
                raise self._stopped(error) from None
            running = self._running[context.process] = _Running(function, invocation, context.aws_request_id)
            began = context.clock()
            try:
                with self._guard.inside():
                    answer = environment.handle(event, LambdaContext(function, context.aws_request_id, context))
                _check_answer(answer)
            except ProcessEnded:
                self.observer.seen[function].timed_out += 1
                raise
            except TooLong as error:
                raise self._stuck(place.name, error) from None
            except (Exception, SystemExit) as error:
                environments.give_back(environment)
                self._note(function, f"[ERROR] {error_trace(self._site.compiled, error)}")
                if isinstance(error, InducedFailure) or (running.reads_percentage and type(error) is Exception):
                    raise InducedFailure(str(error)) from None
                raise self._failed(function, place, error) from None
            finally:
                self.observer.seen[function].seconds += context.clock() - began
                del self._running[context.process]
            environments.give_back(environment)
            self.observer.ends(function, invocation)
            self._note(function, f"END after {context.clock() - began:.3f} s", context.aws_request_id)
            return answer

        return handle

    def _opened(self, function: str) -> TextIO:
        return open_log(self._logs, function, lambda: self._arena.seconds, self._request, quiet=self._quiet)

    def _note(self, function: str, text: str, request: str = "") -> None:
        """Add to a function's log what it did not print itself; to none where there are no files."""
        if self._logs is not None:
            self._ended = request
            self._files[function].write(f"{text}\n")
            self._ended = ""

    def _induced(self, function: str, request: str) -> None:
        """A function failed from outside, after its handler came to its end."""
        self._note(function, "[ERROR] the invocation fails on purpose, after its write", request)

    def _request(self) -> str:
        """The invocation that runs now, for its log."""
        process = self._arena.tasks.current()
        running = None if process is None else self._running.get(process)
        return self._ended or ("import" if running is None else running.request)

    def _failed(self, function: str, place: HandlerPlace, error: BaseException) -> Exception:
        """What the world gets. One that fails before it ever succeeded ends the game."""
        first = not self.observer.seen[function].succeeded
        self.observer.fails(function, error_summary(self._site.compiled, error))
        if first or isinstance(error, NotInTheLabError):
            trace = error_trace(self._site.compiled, error)
            self._stopped(OncefoldError(f"{function} ({place.name} of {place.module}) fails:\n{trace}"))
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

    def calling(self, operation: str, request: dict[str, Any]) -> None:
        """See ClientVisitor. Raises ClientError for a call that the function's policy does not allow."""
        running = self._current(f"{operation} is called")
        policy = self._policies.get(running.function)
        refused = None if policy is None else policy.refused(operation, request)
        if refused is not None:
            raise _denied(running.function, operation, *refused)
        if operation == "get_item" and request["TableName"] == self._tables.parameter:
            self._arena.failing_themselves.add(running.function)
            running.reads_percentage = True

    def called(self, operation: str, request: dict[str, Any], refused: ClientError | None) -> None:
        """See ClientVisitor."""
        running = self._current(operation)
        self.observer.called(running.function, running.invocation, operation, request, refused)

    def _sleep(self, seconds: float) -> None:
        """Let virtual time pass."""
        self._current("time.sleep is called")
        with self._guard.outside():
            self._arena.tasks.sleep(max(0.0, seconds))
