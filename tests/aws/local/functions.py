"""Small functions in real zips, which write down what they were given."""

import base64
import json
import zipfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

from oncefold_lab.local.functions import FunctionSettings

_NOTES = """
    import base64, json, os

    def note(event, outcome="done"):
        line = json.dumps({"records": event["Records"], "outcome": outcome}) + "\\n"
        with open(os.environ["NOTES"], "a") as file:
            file.write(line)

    def text(record):
        return base64.b64decode(record["kinesis"]["data"]).decode()

    def once(name):
        "Whether this name is asked for the first time, by any process."
        try:
            os.close(os.open(os.environ["NOTES"] + "." + name, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        return True
"""


@dataclass(frozen=True)
class Delivery:
    """One invocation with a batch, as the function saw it."""

    records: list[dict[str, Any]]
    outcome: str

    @property
    def texts(self) -> list[str]:
        """The data of its Kinesis records."""
        return [base64.b64decode(record["kinesis"]["data"]).decode() for record in self.records]

    @property
    def shards(self) -> set[str]:
        return {record["eventID"].partition(":")[0] for record in self.records}


@dataclass(frozen=True)
class Notes:
    """What a function noted."""

    path: Path

    def deliveries(self, outcome: str = "done") -> list[Delivery]:
        if not self.path.exists():
            return []
        lines = [json.loads(line) for line in self.path.read_text().splitlines()]
        return [Delivery(line["records"], line["outcome"]) for line in lines if line["outcome"] == outcome]

    def texts(self, outcome: str = "done") -> list[str]:
        """Data of all Kinesis records in deliveries of this outcome, as they came."""
        return [text for delivery in self.deliveries(outcome) for text in delivery.texts]


def zipped(path: Path, source: str, **more: str) -> Path:
    """A zip with the module `handler` of this source, and other modules (`a__in__b` is `b` in the package `a`)."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("handler.py", dedent(_NOTES) + dedent(source))
        for name, text in more.items():
            archive.writestr(name.replace("__in__", "/") + ".py", dedent(text))
    return path


def noting(folder: Path, source: str, **settings: Any) -> tuple[FunctionSettings, Notes]:
    """Settings of a function `handle` of this source, and where it makes its notes."""
    notes = Notes(folder / "notes.jsonl")
    settings = {"timeout_seconds": 60.0, "concurrency": 8, **settings}
    code = zipped(folder / "function.zip", source)
    return FunctionSettings("function", "handler.handle", code, {"NOTES": str(notes.path)}, **settings), notes


def by_key(texts: Iterable[str]) -> dict[str, list[int]]:
    """Numbers of texts like `key:7`, in their order, by key."""
    found: dict[str, list[int]] = defaultdict(list)
    for text in texts:
        key, _, number = text.partition(":")
        found[key].append(int(number))
    return found
