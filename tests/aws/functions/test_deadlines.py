"""No invocation outlasts its time by waiting: endpoints that hang, on real sockets, and functions from their zip."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from oncefold.aws.deploy.package import build
from oncefold.aws.functions import layout
from oncefold.aws.functions.layout import Delta
from oncefold.core.fold import Node, Total
from oncefold_lab.local.functions import FunctionSettings, LocalFunction
from tests.aws.functions.stacks import PIPELINE
from tests.aws.functions.test_handlers import kinesis_event
from tests.aws.functions.test_protocol import SOME
from tests.tools.sizes import full_only, sized

SECONDS = 4.0
"""The functions' time: less than any timeout of a socket."""


class Hanging:
    """A server that takes connections and never says all: nothing, or an answer of a byte every now and then."""

    def __init__(self, trickle: bytes = b"") -> None:
        self._trickle = trickle
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.requests = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        self._over.set()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.requests += 1
            threading.Thread(target=self._hang, args=(connection,), daemon=True).start()

    def _hang(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(0.05)
            while not self._over.wait(0.05):
                try:
                    if self._trickle:
                        connection.sendall(self._trickle)
                    else:
                        connection.recv(2**16)
                except TimeoutError:
                    continue
                except OSError:
                    return


@pytest.fixture(
    params=[
        pytest.param(b"", id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\nx: ", id="byte by byte", marks=full_only("as long as nothing, 13 s")),
    ]
)
def hanging(request: pytest.FixtureRequest) -> Iterator[Hanging]:
    server = Hanging(request.param)
    yield server
    server.close()


Deployed = Callable[[str], LocalFunction]


@pytest.fixture
def deployed(tmp_path: Path, hanging: Hanging, request: pytest.FixtureRequest) -> Deployed:
    """A function of the real zip, whose DynamoDB hangs."""
    code = tmp_path / "code.zip"
    code.write_bytes(build(PIPELINE).data)
    environment = {
        "ONCEFOLD_STACK": "hangs",
        "AWS_ENDPOINT_URL": hanging.url,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
    }

    def deploy(name: str) -> LocalFunction:
        function = LocalFunction(
            FunctionSettings(
                name, f"oncefold.aws.functions.handlers.{name}", code, environment, timeout_seconds=SECONDS
            )
        )
        request.addfinalizer(function.close)
        return function

    return deploy


def test_the_state_function_answers_in_time(deployed: Deployed, hanging: Hanging) -> None:
    function = deployed("state")
    for _ in range(sized(1, 2)):  # in a warm environment the thread that hangs is not waited for
        result = function.invoke(json.dumps(kinesis_event(SOME)).encode())
        assert result.error is None
        assert result.answer() == {"batchItemFailures": [{"itemIdentifier": "0"}]}
    assert hanging.requests


@full_only("4 s")
def test_the_reduce_function_answers_in_time(deployed: Deployed) -> None:
    delta = Delta("a-0", ((Node(0), Total(1, (5,))),))
    image = layout.delta_item(PIPELINE, delta, keys=1, created=0)
    record = {"eventName": "INSERT", "dynamodb": {"SequenceNumber": "7", "NewImage": image}}
    result = deployed("reduce").invoke({"Records": [record]})
    assert result.error is None
    assert result.answer() == {"batchItemFailures": [{"itemIdentifier": "7"}]}
