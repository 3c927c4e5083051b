"""Functions run from their real zip by AWS's own runtime client, in processes started on demand and kept warm."""

import json
import os
import re
import tempfile
import threading
import uuid
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from oncefold.core.errors import OncefoldError
from oncefold_lab.local.emulator import REGION
from oncefold_lab.local.environment import ExecutionEnvironment, FunctionError, InvocationCall, InvocationResult

_OF_THE_RUNTIME = ("awslambdaric", "boto3")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def link_libraries(folder: Path) -> None:
    """Make `folder` with links to the libraries as they are installed here."""
    folder.mkdir()
    for installed in _with_requirements():
        for name in {file.parts[0] for file in installed.files or ()} - {"..", "__pycache__"}:
            if not name.endswith(".dist-info"):
                (folder / name).symlink_to(Path(str(installed.locate_file(name))).resolve())


def _with_requirements() -> list[Distribution]:
    found: dict[str, Distribution] = {}
    open_names = list(_OF_THE_RUNTIME)
    while open_names:
        name = open_names.pop()
        if name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue  # a requirement of another platform
        open_names += _required(found[name])
    return list(found.values())


def _required(installed: Distribution) -> list[str]:
    """Names of what it always needs, in one spelling."""
    lines = [line for line in installed.requires or () if "extra ==" not in line]
    names = [match.group() for line in lines if (match := _NAME.match(line))]
    return [re.sub(r"[-_.]+", "-", name).lower() for name in names]


__all__ = ["ACCOUNT", "FunctionError", "FunctionSettings", "InvocationResult", "LocalFunction"]

ACCOUNT = "000000000000"


@dataclass(frozen=True, slots=True)
class FunctionSettings:
    """A function as it is deployed. `concurrency` is how many of its processes may run at a time."""

    name: str
    handler: str
    code: Path
    """The zip file."""
    environment: Mapping[str, str] = field(default_factory=dict)
    timeout_seconds: float = 3.0
    memory_mb: int = 128
    concurrency: int = 1

    @property
    def arn(self) -> str:
        """Its ARN, in the region that its environment names."""
        return f"arn:aws:lambda:{self.environment.get('AWS_REGION', REGION)}:{ACCOUNT}:function:{self.name}"


class LocalFunction:
    """A function that can be invoked from any thread.

    `with Function(settings) as function:` ends its processes at the end; they end with this process in any case.
    """

    def __init__(self, settings: FunctionSettings, on_result: Callable[[InvocationResult], None] | None = None) -> None:
        """Unpack the code. `on_result` gets each invocation, in the thread that made it.

        Raises OncefoldError if there is no zip file, or no runtime client.
        """
        self.settings = settings
        self._on_result = on_result
        self._changed = threading.Condition()
        self._idle: list[ExecutionEnvironment] = []
        self._all: set[ExecutionEnvironment] = set()
        self._starting = 0
        self._closed = False
        self._folder = tempfile.TemporaryDirectory(prefix="oncefold-function-")
        try:
            self._unpack()
            link_libraries(self._libraries)
        except BaseException:
            self._folder.cleanup()
            raise

    def invoke(self, payload: bytes | Mapping[str, Any]) -> InvocationResult:
        """Run one invocation, in a warm environment if there is one, waiting for one if all are busy.

        The result says how it went; OncefoldError is raised only if the function is closed.
        """
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        environment = self._borrow()
        try:
            call = InvocationCall(str(uuid.uuid4()), body, self.settings.timeout_seconds, self.settings.arn)
            invocation = environment.invoke(call)
            if self._on_result is not None:
                self._on_result(invocation)
        finally:
            self._give_back(environment)
        return invocation

    def close(self) -> None:
        """End all environments; invocations under way fail."""
        with self._changed:
            self._closed = True
            idle, self._idle = self._idle, []
            for environment in self._all:
                environment.kill()
            self._changed.notify_all()
        for environment in idle:
            self._forget(environment)
        with self._changed:
            self._changed.wait_for(lambda: not self._all and not self._starting)
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _task_root(self) -> Path:
        return Path(self._folder.name) / "task"

    @property
    def _libraries(self) -> Path:
        return Path(self._folder.name) / "runtime"

    def _unpack(self) -> None:
        try:
            with zipfile.ZipFile(self.settings.code) as archive:
                archive.extractall(self._task_root)
        except (OSError, zipfile.BadZipFile) as error:
            raise OncefoldError(
                f"function {self.settings.name}: its code cannot be unpacked from {self.settings.code}: {error}"
            ) from None

    def _borrow(self) -> ExecutionEnvironment:
        with self._changed:
            self._changed.wait_for(self._may_borrow)
            if self._closed:
                raise OncefoldError(f"function {self.settings.name} is closed")
            while self._idle:
                environment = self._idle.pop()
                if environment.usable:
                    return environment
                self._forget(environment)
            self._starting += 1
        try:
            environment = ExecutionEnvironment(
                self.settings.handler, self._variables(), self._task_root, self._libraries
            )
        except BaseException:
            with self._changed:
                self._starting -= 1
                self._changed.notify_all()
            raise
        with self._changed:
            self._starting -= 1
            self._all.add(environment)
            if self._closed:
                environment.kill()
        return environment

    def _may_borrow(self) -> bool:
        return self._closed or bool(self._idle) or len(self._all) + self._starting < self.settings.concurrency

    def _give_back(self, environment: ExecutionEnvironment) -> None:
        with self._changed:
            if environment.usable and not self._closed:
                self._idle.append(environment)
                self._changed.notify()
                return
        self._forget(environment)

    def _forget(self, environment: ExecutionEnvironment) -> None:
        environment.close()
        with self._changed:
            self._all.discard(environment)
            self._changed.notify_all()

    def _variables(self) -> dict[str, str]:
        """The variables that Lambda defines, and the function's own; nothing of the machine but the search path."""
        region = self.settings.environment.get("AWS_REGION", REGION)
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "HOME": self._folder.name,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            **self.settings.environment,
            "LAMBDA_TASK_ROOT": str(self._task_root),
            "LAMBDA_RUNTIME_DIR": str(self._libraries),
            "_HANDLER": self.settings.handler,
            "AWS_LAMBDA_FUNCTION_NAME": self.settings.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(self.settings.memory_mb),
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{self.settings.name}",
        }
