"""Execution environments, as Lambda has them: each is a module of its own, and runs one invocation at a time."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import CodeType, ModuleType
from typing import Any

from oncefold.core.errors import OncefoldError
from oncefold_workshop.course import telling
from oncefold_workshop.course.functions import Functions
from oncefold_workshop.course.guarding import Guard, TooLong
from oncefold_workshop.course.importing import Loader
from oncefold_workshop.course.services import Client, boto3_modules
from oncefold_workshop.course.standins import Surroundings, standins

IDLE_SECONDS = 600.0
"""An environment that nobody used for so long is gone; AWS promises no time."""

Handle = Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True)
class Environment:
    """A module that was loaded, and its handler."""

    handle: Handle
    used_at: float


@dataclass(frozen=True, slots=True)
class Site:
    """What the environments of all functions share."""

    functions: Functions
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    random: Random
    variables: Mapping[str, str]
    client: Client
    guard: Guard
    compiled: dict[Path, CodeType]
    """The learner's code by file."""


class Environments:
    """Those of one function: a free one is used again, and where there is none, another is made."""

    def __init__(self, site: Site, handler: str) -> None:
        self._site = site
        self._handler = handler
        self._free: list[Environment] = []

    def take(self) -> Environment:
        """An environment for one invocation. Raises OncefoldError for a module that cannot be loaded."""
        oldest = self._site.clock() - IDLE_SECONDS
        self._free = [free for free in self._free if free.used_at >= oldest]
        return self._free.pop() if self._free else Environment(self._load(), 0.0)

    def give_back(self, environment: Environment) -> None:
        """It may run another invocation."""
        self._free.append(Environment(environment.handle, self._site.clock()))

    def _load(self) -> Handle:
        site = self._site
        around = Surroundings(site.clock, site.sleep, Random(site.random.getrandbits(64)), site.variables)  # noqa: S311
        loader = Loader(site.functions, {**standins(around), **boto3_modules(site.client)}, site.compiled)
        try:
            with site.guard.inside():
                module = loader.load()
        except TooLong:
            seconds = f"{site.guard.seconds:.0f} s"
            raise OncefoldError(
                f"--functions: {site.functions.module} has computed for {seconds} while it was imported"
            ) from None
        except (Exception, SystemExit) as error:
            told = telling.in_full(site.compiled, error)
            raise OncefoldError(f"--functions: {site.functions.module} cannot be imported\n{told}") from None
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
