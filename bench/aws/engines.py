"""The services that both pipelines run on: ministack's Kinesis, and the DynamoDB of dynoxide, which counts units right.

Where dynoxide is not installed (`make` does it where there is npm), ministack's DynamoDB is used and its units are
wrong: docs/AWS_CONTRACT.md.
"""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

from botocore.exceptions import BotoCoreError

from oncefold.aws.connect import client
from oncefold_lab.local.emulator import HOST, Emulator, free_port

_PROGRAM = Path(__file__).parents[2] / ".venv" / "node" / "node_modules" / "@dynoxide" / "linux-x64" / "dynoxide"
_START_SECONDS = 30.0
_POLL_SECONDS = 0.05


@contextmanager
def engines() -> Iterator[str]:
    """Start them and lead boto3 to them; the name of the one that is DynamoDB."""
    with Emulator() as emulator, patch.dict(os.environ, emulator.environment), ExitStack() as opened:
        if not _PROGRAM.exists():
            yield "ministack"
            return
        url = opened.enter_context(_dynoxide())
        endpoints = {"AWS_ENDPOINT_URL_DYNAMODB": url, "AWS_ENDPOINT_URL_DYNAMODB_STREAMS": url}
        opened.enter_context(patch.dict(os.environ, endpoints))
        _wait()
        yield "dynoxide"


@contextmanager
def _dynoxide() -> Iterator[str]:
    folder, port = tempfile.mkdtemp(prefix="oncefold-dynoxide-"), free_port()
    command = [str(_PROGRAM), "serve", "--host", HOST, "--port", str(port), "--db-path", f"{folder}/db"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield f"http://{HOST}:{port}"
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


def _wait() -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            client("dynamodb").list_tables()
        except BotoCoreError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL_SECONDS)
        else:
            return
