"""One execution environment: a process of a function behind its own runtime API, for one invocation at a time.

API: "Using the Lambda runtime API for custom runtimes" of the Lambda Developer Guide. One thread at a time waits for
the process and needs no other: a request, a printed line, the end and the deadline all come through one selector. So
what was printed before an answer is known when the answer is.
"""

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oncefold_lab.local.emulator import HOST

_READ_BYTES = 2**16
_POLL_SECONDS = 0.5
"""How often a process that says nothing is looked at: one that ended may have left its output to a child of its own."""
_ENDING_SECONDS = 0.005
"""How often once its output is closed: by its end, as a rule."""
_HEAD_END = b"\r\n\r\n"


class Gone(Exception):  # noqa: N818 - a state of the process, turned into an answer by the environment
    """The process ended, or answers no more."""


@dataclass(frozen=True, slots=True)
class RuntimeRequest:
    """A call of the runtime client."""

    path: str
    body: bytes
    connection: socket.socket


class RuntimeApi:
    """The server that one process talks to."""

    def __init__(self, output: int, alive: Callable[[], bool]) -> None:
        """`output` is the end to read of a pipe that the process prints into; it is closed with this."""
        self._output = output
        self._alive = alive
        self._listener = socket.create_server((HOST, 0))
        self._received: dict[socket.socket, bytearray] = {}
        self._printed = bytearray()
        self._silent = False
        os.set_blocking(output, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(output, selectors.EVENT_READ, self._read_output)

    @property
    def address(self) -> str:
        """What AWS_LAMBDA_RUNTIME_API says."""
        port: int = self._listener.getsockname()[1]
        return f"{HOST}:{port}"

    def request(self, deadline: float) -> RuntimeRequest | None:
        """The next request; None once the (monotonic) clock passes the deadline. Raises Gone if none can come."""
        while True:
            for connection in list(self._received):
                found = self._whole(connection)
                if found is not None:
                    return found
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            events = self._selector.select(min(left, _ENDING_SECONDS if self._silent else _POLL_SECONDS))
            for key, _ in events:
                key.data(key.fileobj)
            if not events and not self._alive():
                raise Gone

    def answer(self, request: RuntimeRequest, status: str, headers: Mapping[str, str], body: bytes) -> None:
        """Answer a request, in one write. Raises Gone if the reader is gone."""
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers.items())]
        head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""])
        try:
            request.connection.sendall(head.encode() + body)
        except OSError:
            raise Gone from None

    def printed(self) -> bytes:
        """What the process printed since the last call of this."""
        if not self._silent:
            self._read_output(self._output)
        text = bytes(self._printed)
        self._printed.clear()
        return text

    def close(self) -> None:
        """Release the process."""
        self._selector.close()
        for connection in self._received:
            connection.close()
        self._listener.close()
        os.close(self._output)

    def _accept(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        # An answer must not wait for the acknowledgement of the one before it.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received[connection] = bytearray()
        self._selector.register(connection, selectors.EVENT_READ, self._receive)

    def _receive(self, connection: socket.socket) -> None:
        try:
            chunk = connection.recv(_READ_BYTES)
        except OSError:
            chunk = b""
        if chunk:
            self._received[connection] += chunk
        else:
            self._selector.unregister(connection)
            del self._received[connection]
            connection.close()

    def _read_output(self, output: int) -> None:
        while True:
            try:
                chunk = os.read(output, _READ_BYTES)
            except BlockingIOError:
                return
            if not chunk:
                self._silent = True
                self._selector.unregister(output)
                return
            self._printed += chunk

    def _whole(self, connection: socket.socket) -> RuntimeRequest | None:
        received = self._received[connection]
        end = received.find(_HEAD_END)
        if end < 0:
            return None
        first, *lines = received[:end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        begin = end + len(_HEAD_END)
        stop = begin + int(headers.get("content-length", 0))
        if len(received) < stop:
            return None
        body = bytes(received[begin:stop])
        del received[:stop]
        return RuntimeRequest(first.split(" ")[1], body, connection)


INIT_SECONDS = 60.0
"""Time to import the function's code. Lambda's own limit is 10 s, which a busy machine may miss."""
_END_SECONDS = 5.0
_PROCESS = Path(__file__).with_name("lambda_process.py")
_NEXT = "/2018-06-01/runtime/invocation/next"
_INIT_ERROR = "/2018-06-01/runtime/init/error"
_ACCEPTED = "202 Accepted"


@dataclass(frozen=True, slots=True)
class FunctionError:
    """Why an invocation failed, as Lambda reports it."""

    type: str
    message: str
    stack: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InvocationResult:
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
class InvocationCall:
    """One invocation to be made."""

    request: str
    payload: bytes
    timeout_seconds: float
    arn: str


class _EnvironmentFailed(Exception):  # noqa: N818 - carries a value out of the waiting
    def __init__(self, error: FunctionError) -> None:
        self.error = error


class ExecutionEnvironment:
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

    def invoke(self, call: InvocationCall) -> InvocationResult:
        """Run one invocation. After an end, a timeout or a failed start the environment is not usable any more."""
        begun = time.monotonic()
        payload, error = b"", None
        try:
            parked = self._next(call)
            begun = time.monotonic()
            payload = self._answer(parked, call, begun + call.timeout_seconds)
        except _EnvironmentFailed as failed:
            error = failed.error
        except Gone:
            error = self._ended(call)
        seconds = time.monotonic() - begun
        return InvocationResult(call.request, payload, error, seconds, time.time(), self.stream, self._log(error))

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

    def _next(self, call: InvocationCall) -> RuntimeRequest:
        """The request for the next event, waited for if the process is still starting."""
        request = self._api.request(time.monotonic() + INIT_SECONDS)
        if request is None:
            self.kill()
            message = f"RequestId: {call.request} Error: Init timed out after {INIT_SECONDS:.2f} seconds"
            raise _EnvironmentFailed(FunctionError("Sandbox.Timedout", message))
        if request.path == _INIT_ERROR:
            self._usable = False
            with suppress(Gone):
                self._api.answer(request, _ACCEPTED, {}, b"")
            raise _EnvironmentFailed(_function_error(request.body))
        assert request.path == _NEXT, request.path
        return request

    def _answer(self, parked: RuntimeRequest, call: InvocationCall, deadline: float) -> bytes:
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
            message = f"RequestId: {call.request} Error: Task timed out after {call.timeout_seconds:.2f} seconds"
            raise _EnvironmentFailed(FunctionError("Sandbox.Timedout", message))
        with suppress(Gone):  # what it said counts
            self._api.answer(request, _ACCEPTED, {}, b"")
        if request.path.endswith("/error"):
            raise _EnvironmentFailed(_function_error(request.body))
        return request.body

    def _ended(self, call: InvocationCall) -> FunctionError:
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
