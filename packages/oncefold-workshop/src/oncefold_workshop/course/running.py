"""One learner's functions in one world: invocations in their environments, watched and guarded."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from oncefold.core.errors import OncefoldError
from oncefold_lab.simulator.data_stream import ACCOUNT
from oncefold_lab.world.functions import Context, Handler
from oncefold_lab.world.tasks import Ended, Process
from oncefold_workshop.course import telling
from oncefold_workshop.course.environments import Environments, Site
from oncefold_workshop.course.functions import Functions
from oncefold_workshop.course.guarding import Guard, NotInTheLabError, TooLong
from oncefold_workshop.course.observing import Invocation, Observer
from oncefold_workshop.course.services import Client
from oncefold_workshop.game.arena import Arena
from oncefold_workshop.pipelines.settings import Settings, Tables


class FailedError(Exception):
    """A learner's function has failed; its words are what Lambda would tell."""


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
    invocation: Invocation


class Running:
    """Runs a learner's functions in an arena."""

    def __init__(self, functions: Functions, arena: Arena, tables: Tables) -> None:
        self.observer = Observer(tables)
        self.fatal: OncefoldError | None = None
        """Why the game cannot go on."""
        self._arena = arena
        self._guard = Guard()
        self._running: dict[Process, _Running] = {}
        self._site = Site(
            functions,
            arena.scheduler.clock,
            self._sleep,
            arena.random("functions"),
            Settings(tables).environment(),
            Client(arena.client("dynamodb"), self, self._guard),
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
            except Ended:
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
        """What the world is told. One that fails before it ever succeeded ends the game."""
        first = not self.observer.seen[function].succeeded
        self.observer.fails(function, telling.in_short(self._site.compiled, error))
        if first or isinstance(error, NotInTheLabError):
            told = telling.in_full(self._site.compiled, error)
            self._stopped(OncefoldError(f"{function} ({name} of {self._site.functions.module}) fails:\n{told}"))
        return FailedError(f"{type(error).__name__} {error}")

    def _stuck(self, name: str, error: TooLong) -> Exception:
        where = telling.place(self._site.compiled, error)
        words = (
            f"{name} has computed for {self._guard.seconds:.0f} s without a call, last at {where}: does a loop not end?"
        )
        return self._stopped(OncefoldError(words))

    def _stopped(self, error: OncefoldError) -> Exception:
        """Let the game end with this error; what the world is told."""
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
