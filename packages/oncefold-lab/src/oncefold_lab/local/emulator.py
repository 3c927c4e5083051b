"""The emulator: ministack on a free loopback port, as a process of its own that ends with this one."""

import http.client
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from oncefold.core.errors import OncefoldError

HOST = "127.0.0.1"
REGION = "us-east-1"
_START_SECONDS = 30.0
_POLL_SECONDS = 0.05
_LOG_CHARS = 2_000

_QUIET = {
    # Listeners that nothing here needs.
    "SFTP_ENABLED": "0",
    "IOT_MTLS_ENABLED": "0",
    "LOG_LEVEL": "WARNING",
    # Never look for containers.
    "DOCKER_HOST": "unix:///nonexistent",
}


def free_port() -> int:
    """A TCP port of the loopback address that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _in_use(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


class Emulator:
    """A running ministack: Kinesis, DynamoDB, Lambda, CloudFormation and more, empty at the start, in memory.

    `with Emulator() as emulator:` starts and stops it. `environment` leads boto3 to it, here and in child processes.
    """

    def __init__(self, port: int | None = None) -> None:
        """Starts nothing yet; a free port is chosen where none is given."""
        self._port = free_port() if port is None else port
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def endpoint(self) -> str:
        """Its URL."""
        return f"http://{HOST}:{self._port}"

    @property
    def environment(self) -> dict[str, str]:
        """Variables for whoever is to use it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @contextmanager
    def as_default(self) -> Iterator[None]:
        """Within this, boto3 goes to the emulator, whatever profile the user has."""
        before = dict(os.environ)
        os.environ.pop("AWS_PROFILE", None)
        os.environ.update(self.environment)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)

    def start(self) -> None:
        """Start it and wait until it answers. Raises OncefoldError if it does not come up."""
        if _in_use(self._port):
            raise OncefoldError(
                f"the emulator cannot start: something listens on {HOST}:{self._port}; name a free port"
            )
        self._folder = tempfile.TemporaryDirectory(prefix="oncefold-aws-")
        settings = {"GATEWAY_PORT": str(self._port), "BIND_HOST": HOST, "TMPDIR": self._folder.name, **_QUIET}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "oncefold_lab.local.ministack_server"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment, **settings},
                start_new_session=True,  # a Ctrl-C is for the one who started it
            )
        self._wait_until_ready(self._process)

    def stop(self) -> None:
        """Stop it; everything it held is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stdin is not None:
                self._process.stdin.close()
            self._process = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def _log(self) -> Path:
        assert self._folder is not None
        return Path(self._folder.name) / "ministack.log"

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                break
            if self.answers():
                return
            time.sleep(_POLL_SECONDS)
        said = self._log.read_text(errors="replace")[-_LOG_CHARS:]
        raise OncefoldError(f"the emulator did not start on {self.endpoint}: {said.strip() or 'it said nothing'}")

    def answers(self) -> bool:
        """Whether an emulator answers on the port."""
        connection = http.client.HTTPConnection(HOST, self._port, timeout=5)
        try:
            connection.request("GET", "/_ministack/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()
