"""Files that DynamoDB imports tables from: gzipped lines of DynamoDB JSON, and the requests that import them.

Sources: "Amazon S3 import formats for DynamoDB", "Best practices for importing from Amazon S3 into DynamoDB",
"ImportTable" (DynamoDB Developer Guide and API Reference).
"""

import gzip
import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from oncefold.aws.deploy.resources import tables
from oncefold.aws.names import Names
from oncefold.aws.operations.load_items import LoadedStore, line
from oncefold.core.errors import OncefoldError
from oncefold.dynamodb.items import Item
from oncefold.queries.protocol import Progress

FILE_ITEMS = 1_000_000
"""Items of one file; the guide advises up to 4,000,000 of less than 1 KB, and imports files in parallel."""
MOST_FILES = 50_000
"""Objects of one import."""
MOST_BYTES = 10**12
"""Of one import's objects, in the regions where least is allowed."""
SUFFIX = ".json.gz"


@dataclass(frozen=True, slots=True)
class ImportFiles:
    """The files of one table, and the request that imports them."""

    table: str
    files: int
    items: int
    size: int
    """Bytes, compressed."""
    request: Path


def write_files(
    loaded: LoadedStore, names: Names, bucket: str, folder: Path, progress: Progress, file_items: int = FILE_ITEMS
) -> tuple[ImportFiles, ImportFiles]:
    """Write the files of StateTable and AggregateTable into a new folder. The same bytes from the same store.

    Raises OncefoldError if the folder is there, or DynamoDB would not take so much at once.
    """
    if folder.exists() and any(folder.iterdir()):
        raise OncefoldError(f"{folder}: it is there and not empty; name a new folder with --files")
    folder.mkdir(parents=True, exist_ok=True)
    writer = _Writer(names, bucket, folder, progress, file_items)
    return (
        writer.table("StateTable", loaded.state_items()),
        writer.table("AggregateTable", loaded.aggregate_items()),
    )


@dataclass(frozen=True)
class _Writer:
    names: Names
    bucket: str
    folder: Path
    progress: Progress
    file_items: int

    def table(self, logical: str, items: Iterable[Item]) -> ImportFiles:
        properties = tables(self.names)[logical]["Properties"]
        name: str = properties["TableName"]
        below = self.folder / name
        below.mkdir()
        waiting = iter(items)
        files = written = size = 0
        while some := list(islice(waiting, self.file_items)):
            path = below / f"{files:05d}{SUFFIX}"
            with path.open("wb") as raw, gzip.GzipFile("", "wb", mtime=0, fileobj=raw) as file:
                for item in some:
                    file.write(line(item))
            files, written, size = files + 1, written + len(some), size + path.stat().st_size
            self.progress(f"items of {name} written", written)
        if files > MOST_FILES or size > MOST_BYTES:
            raise OncefoldError(
                f"{below}: {files:,} files of {size:,} bytes are more than one import takes ({MOST_FILES:,}, "
                f"{MOST_BYTES:,}); put the items into the tables of a stack instead, without --files"
            )
        request = self.folder / f"{name}.import.json"
        request.write_text(json.dumps(self._request(name, properties), indent=2) + "\n", encoding="utf-8")
        return ImportFiles(name, files, written, size, request)

    def _request(self, table: str, properties: dict[str, Any]) -> dict[str, Any]:
        """The request: a table as the template has it."""
        same = ("TableName", "AttributeDefinitions", "KeySchema", "BillingMode")
        return {
            "S3BucketSource": {"S3Bucket": self.bucket, "S3KeyPrefix": f"{self.names.stack}/{table}/"},
            "InputFormat": "DYNAMODB_JSON",
            "InputCompressionType": "GZIP",
            "TableCreationParameters": {name: properties[name] for name in same},
        }
