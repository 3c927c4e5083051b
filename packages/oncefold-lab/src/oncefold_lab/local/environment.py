"""One execution environment: a process of a function that takes one invocation at a time, as Lambda's does."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oncefold_lab.local.runtime_api import Gone, Request, RuntimeApi

INIT_SECONDS = 60.0
"""Time to import the function's code. Lambda's own limit is 10 s, which a busy machine may miss."""
_END_SECONDS = 5.0
_PROCESS = Path(__file__).with_name("lambda_process.py")
_NEXT = "/2018-06-01/runtime/invocation/next"
_INIT_ERROR = "/2018-06-01/runtime/init/error"
_ACCEPTED = "202 Accepted"


@dataclass(frozen=True, slots=True)
class FunctionError:
    """Why an invocation failed, in Lambda's words."""

    type: str
    message: str
    stack: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Invocation:
    """What came of one invocation."""

    request: str
    """Its request id."""
    payload: bytes
    """The function's answer as JSON; empty if it failed."""
    error: FunctionError | None
    seconds: float
    """Without the start of the environment."""
    ended: float
    """Since 1970."""
    stream: str
    """The name of its environment's log stream."""
    log: tuple[str, ...]
    """What was printed since the environment's last invocation, an entry for each line."""

    def answer(self) -> Any:
        """The function's answer, read. Raises ValueError if it is no JSON."""
        return json.loads(self.payload) if self.payload else None


@dataclass(frozen=True, slots=True)
class Call:
    """One invocation to be made."""

    request: str
    payload: bytes
    timeout_seconds: float
    arn: str


class _Failed(Exception):  # noqa: N818 - carries a value out of the waiting
    def __init__(self, error: FunctionError) -> None:
        self.error = error


class Environment:
    """A process of a function; it is used by one thread at a time."""

    def __init__(self, handler: str, variables: Mapping[str, str], task_root: Path, libraries: Path) -> None:
        """Starts the process; the first invocation waits until it is ready."""
        self.stream = f"{time.strftime('%Y/%m/%d', time.gmtime())}/[$LATEST]{uuid.uuid4().hex}"
        output, printed = os.pipe()
        self._api = RuntimeApi(output, lambda: self._process.poll() is None)
        self._usable = True
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_PROCESS), str(task_root), str(libraries), handler],
                stdin=subprocess.PIPE,
                stdout=printed,
                stderr=printed,
                cwd=task_root,
                env={
                    **variables,
                    "AWS_LAMBDA_RUNTIME_API": self._api.address,
                    "AWS_LAMBDA_LOG_STREAM_NAME": self.stream,
                },
                start_new_session=True,  # a Ctrl-C is for the one who started it
            )
        except BaseException:
            self._api.close()
            raise
        finally:
            os.close(printed)

    @property
    def usable(self) -> bool:
        """Whether it can take another invocation."""
        return self._usable and self._process.poll() is None

    def invoke(self, call: Call) -> Invocation:
        """Run one invocation. After an end, a timeout or a failed start the environment is not usable any more."""
        begun = time.monotonic()
        payload, error = b"", None
        try:
            parked = self._next(call)
            begun = time.monotonic()
            payload = self._answer(parked, call, begun + call.timeout_seconds)
        except _Failed as failed:
            error = failed.error
        except Gone:
            error = self._ended(call)
        seconds = time.monotonic() - begun
        return Invocation(call.request, payload, error, seconds, time.time(), self.stream, self._log(error))

    def close(self) -> None:
        """End the process, whatever it does."""
        self.kill()
        self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._api.close()

    def kill(self) -> None:
        """End the process; whoever waits for it gets a failed invocation. Any thread may call it."""
        self._usable = False
        self._process.kill()

    def _next(self, call: Call) -> Request:
        """The request for the next event, waited for if the process is still starting."""
        request = self._api.request(time.monotonic() + INIT_SECONDS)
        if request is None:
            self.kill()
            words = f"RequestId: {call.request} Error: Init timed out after {INIT_SECONDS:.2f} seconds"
            raise _Failed(FunctionError("Sandbox.Timedout", words))
        if request.path == _INIT_ERROR:
            self._usable = False
            with suppress(Gone):
                self._api.answer(request, _ACCEPTED, {}, b"")
            raise _Failed(_function_error(request.body))
        assert request.path == _NEXT, request.path
        return request

    def _answer(self, parked: Request, call: Call, deadline: float) -> bytes:
        """Hand over the event and wait for the answer."""
        until = int((time.time() + call.timeout_seconds) * 1000)
        headers = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": call.request,
            "Lambda-Runtime-Deadline-Ms": str(until),
            "Lambda-Runtime-Invoked-Function-Arn": call.arn,
        }
        self._api.answer(parked, "200 OK", headers, call.payload)
        request = self._api.request(deadline)
        if request is None:
            self.kill()
            words = f"RequestId: {call.request} Error: Task timed out after {call.timeout_seconds:.2f} seconds"
            raise _Failed(FunctionError("Sandbox.Timedout", words))
        with suppress(Gone):  # what it said counts
            self._api.answer(request, _ACCEPTED, {}, b"")
        if request.path.endswith("/error"):
            raise _Failed(_function_error(request.body))
        return request.body

    def _ended(self, call: Call) -> FunctionError:
        self._usable = False
        try:
            status = self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            status = self._process.wait()
        if status < 0:
            reason = f"with error: signal: {signal.Signals(-status).name}"
        elif status:
            reason = f"with error: exit status {status}"
        else:
            reason = "without providing a reason"
        return FunctionError("Runtime.ExitError", f"RequestId: {call.request} Error: Runtime exited {reason}")

    def _log(self, error: FunctionError | None) -> tuple[str, ...]:
        """What was printed; the runtime client writes a line of several as one, with carriage returns."""
        text = self._api.printed().decode(errors="replace")
        lines = [line.replace("\r", "\n") for line in text.split("\n") if line]
        if error is not None and not self._usable:
            lines.append(f"{error.type}: {error.message}")
        return tuple(lines)


def _function_error(body: bytes) -> FunctionError:
    said = json.loads(body)
    return FunctionError(said["errorType"], said["errorMessage"], tuple(said.get("stackTrace") or ()))
