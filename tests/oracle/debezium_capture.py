"""Writes what Debezium captures to a file, a line a record: `python debezium_capture.py PROPERTIES.json OUT.jsonl`.

Runs until it is killed. A batch is on the disk before Debezium may forget it, so that no record is ever lost; after a
kill some come again.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from pydbzengine import BasePythonChangeHandler, DebeziumJsonEngine


class _Writer(BasePythonChangeHandler):
    def __init__(self, path: str) -> None:
        self._file = Path(path).open("ab")  # noqa: SIM115 - open until the process is killed

    def handleJsonBatch(self, records: list[Any]) -> None:  # noqa: N802 - the engine calls it so
        for record in records:
            value = record.value()
            self._file.write((b"null" if value is None else str(value).encode()) + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())


if __name__ == "__main__":
    properties = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    DebeziumJsonEngine(properties=properties, handler=_Writer(sys.argv[2])).run()
