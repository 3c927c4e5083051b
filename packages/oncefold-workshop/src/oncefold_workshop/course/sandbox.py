"""A learner's module, loaded afresh for each environment, and what it cannot do: network, threads, endless calls.

The stubs come in by the module's own `__import__`, so nothing is changed for the rest of the process. The learner's
other modules, beside the first, are loaded the same way.
"""

import builtins
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial
from importlib.util import resolve_name
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NoReturn, TextIO

from oncefold.core.errors import OncefoldError
from oncefold_workshop.course.functions import HandlerPlace

SECONDS = 10.0
"""CPU seconds that a function may compute between two calls."""

THREADS = "start threads: it runs one function at a time, so that a seed gives the same game"

_CLOSED = {
    "socket.connect": "reach the network: DynamoDB is the only service here, by boto3",
    "socket.getaddrinfo": "reach the network: DynamoDB is the only service here, by boto3",
    "socket.sendto": "reach the network: DynamoDB is the only service here, by boto3",
    "_thread.start_new_thread": THREADS,
    "subprocess.Popen": "start other programs",
    "os.system": "start other programs",
    "os.fork": "start other programs",
    "os.posix_spawn": "start other programs",
}
"""What Python reports to audit hooks, and what that is. Threads are reported from 3.12 on."""

_inside: ContextVar[bool] = ContextVar("inside", default=False)
"""Whether a learner's code runs. Each greenlet has its own."""


class NotInTheLabError(OncefoldError):
    """A learner's code did what the lab does not have."""


def refuse(what: str) -> NoReturn:
    """Raises NotInTheLabError."""
    raise NotInTheLabError(f"a function in the lab cannot {what}")


class TooLong(BaseException):
    """A function has computed for too long without a call; no `except Exception` of a learner's stops it."""


@cache
def _watch() -> None:
    """Have Python report what is closed; a hook stays for as long as the process, and affects only a learner's code."""

    def hook(event: str, _: tuple[Any, ...]) -> None:
        if event in _CLOSED and _inside.get():
            refuse(_CLOSED[event])

    sys.addaudithook(hook)


def _expire(*_: object) -> None:
    raise TooLong


class SandboxGuard:
    """Around one world's learner's code. The limit of time needs the main thread, and a system that has such timers."""

    def __init__(self, seconds: float = SECONDS) -> None:
        _watch()
        self.seconds = seconds
        self._timed = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()

    @contextmanager
    def inside(self) -> Iterator[None]:
        """While a learner's code runs. Raises TooLong in it."""
        token = _inside.set(True)
        self._count(self.seconds)
        try:
            yield
        finally:
            self._count(0.0)
            _inside.reset(token)

    @contextmanager
    def outside(self) -> Iterator[None]:
        """While the world runs within it: time is not counted, and begins anew behind it."""
        _inside.set(False)
        self._count(0.0)
        try:
            yield
        finally:
            self._count(self.seconds)
            _inside.set(True)

    def _count(self, seconds: float) -> None:
        if self._timed:
            if seconds:
                signal.signal(signal.SIGVTALRM, _expire)
            signal.setitimer(signal.ITIMER_VIRTUAL, seconds)


class Loader:
    """Loads a learner's modules; each environment is one of its own."""

    def __init__(
        self, place: HandlerPlace, stubs: Mapping[str, ModuleType], compiled: dict[Path, CodeType], log: TextIO
    ) -> None:
        """`compiled`: code by file, kept between environments. `log` gets what is printed."""
        self._place = place
        self._log = log
        self._stubs = stubs
        self._compiled = compiled
        self._modules: dict[str, ModuleType] = {}

    def load(self) -> ModuleType:
        """The module of the handlers. Raises whatever it raises."""
        return self._own(self._place.module)

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,  # noqa: A002 - as __import__ has it
        locals: Mapping[str, Any] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """See __import__."""
        if level:
            name = resolve_name("." * level + name, str((globals or {}).get("__package__") or ""))
        top = name.partition(".")[0]
        if name in self._stubs:
            return self._stubs[name if fromlist else top]
        if top in self._stubs:
            return self._below(name, fromlist)
        if self._place.own_file(top) is None:
            return builtins.__import__(name, globals, locals, fromlist or (), 0)
        module = self._own(name)
        for inner in fromlist or ():
            if not hasattr(module, inner) and self._place.own_file(f"{name}.{inner}") is not None:
                self._own(f"{name}.{inner}")
        return module if fromlist else self._modules[top]

    def _below(self, name: str, fromlist: Sequence[str] | None) -> ModuleType:
        """A real module below a stub, as `boto3.dynamodb.types`."""
        top, _, rest = name.partition(".")
        if fromlist:
            return builtins.__import__(name, None, None, fromlist, 0)
        inner = rest.partition(".")[0]
        setattr(self._stubs[top], inner, getattr(builtins.__import__(name), inner))
        return self._stubs[top]

    def _own(self, name: str) -> ModuleType:
        if name in self._modules:
            return self._modules[name]
        parent, _, last = name.rpartition(".")
        if parent:
            self._own(parent)
        file = self._place.own_file(name)
        if file is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        module = self._modules[name] = self._empty(name, file)
        with _known(name, module):
            exec(self._code(file), vars(module))  # noqa: S102 - to run it is what it is here for
        if parent:
            setattr(self._modules[parent], last, module)
        return module

    def _empty(self, name: str, file: Path) -> ModuleType:
        module = ModuleType(name)
        package = name if file.name == "__init__.py" else name.rpartition(".")[0]
        if file.name == "__init__.py":
            module.__path__ = [str(file.parent)]
        logged = partial(print, file=self._log)
        known = {**vars(builtins), "__import__": self._import, "print": logged}
        vars(module).update(__file__=str(file), __package__=package, __builtins__=known)
        return module

    def _code(self, file: Path) -> CodeType:
        if file not in self._compiled:
            self._compiled[file] = compile(file.read_bytes(), str(file), "exec", dont_inherit=True)
        return self._compiled[file]


@contextmanager
def _known(name: str, module: ModuleType) -> Iterator[None]:
    """Have a module among the process's while it is run: dataclasses search there for what annotations mean."""
    before = sys.modules.get(name)
    sys.modules[name] = module
    try:
        yield
    finally:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
