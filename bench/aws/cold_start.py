"""What a cold start of the functions costs: importing the zip in a fresh interpreter, without botocore and with it."""

import io
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import botocore

from bench.definition import PIPELINE
from oncefold.aws.deploy.package import build

TIMES: Final = 7

PREPARED: Final = """
import sys, types
sys.dont_write_bytecode = True
code, libraries = sys.argv[1:]

class Stub(types.ModuleType):
    "A botocore that costs nothing."
    __path__ = ()
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (Exception,), {"__init__": lambda self, *_, **__: None})

if libraries:
    sys.path.append(libraries)
else:
    for name in ("botocore", "botocore.config", "botocore.exceptions", "botocore.session"):
        sys.modules[name] = Stub(name)
        if "." in name:
            setattr(sys.modules["botocore"], name.partition(".")[2], sys.modules[name])
sys.path.insert(0, code)
"""
"""How a program begins that imports the zip in a fresh interpreter; without libraries botocore costs nothing."""

_IMPORT: Final = f"""{PREPARED}
import time
began, used = time.perf_counter(), time.process_time()
import oncefold.aws.functions.handlers
print(time.process_time() - used, time.perf_counter() - began)
"""


@dataclass(frozen=True, slots=True)
class ColdStart:
    """The least of several imports."""

    libraries: str
    processor_seconds: float
    seconds: float


def cold_starts(times: int = TIMES) -> list[ColdStart]:
    """Import the zip of the bench's pipeline; our code is compiled each time, as in Lambda."""
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(io.BytesIO(build(PIPELINE).data)) as archive:
        archive.extractall(folder)
        return [
            _least("without botocore", folder, "", times),
            _least("with botocore", folder, str(Path(botocore.__file__).parent.parent), times),
        ]


def _least(name: str, folder: str, libraries: str, times: int) -> ColdStart:
    found = []
    for _ in range(times):
        command = [sys.executable, "-I", "-S", "-c", _IMPORT, folder, libraries]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found.append([float(seconds) for seconds in printed.split()])
    return ColdStart(name, *map(min, zip(*found, strict=True)))
