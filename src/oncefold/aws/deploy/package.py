"""The functions' code as a zip: what the entry points import, and the pipeline. The same bytes from the same inputs.

The modules are found by following imports in the source, so that nothing is left out and nothing is let in that would
make a cold start slow: beside the standard library, only botocore may be imported, which Lambda's runtime brings. The
zip is stored in an S3 bucket: private, encrypted, and the account's own.
"""

import ast
import hashlib
import io
import json
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from oncefold.aws.deploy.bare_source import bare
from oncefold.aws.names import ZONE_FOLDER, Names
from oncefold.core.definition import Pipeline
from oncefold.core.definition_text import to_toml
from oncefold.core.errors import OncefoldError
from oncefold.core.zones import zone_file

ENTRY = "oncefold.aws.functions.handlers"
"""The module that Lambda imports."""
FOR_EXPRESSIONS = frozenset({"oncefold.core.derived", "oncefold.core.evaluate"})
"""The modules that only a pipeline with expressions needs."""
PIPELINE_FILE = "pipeline.toml"
"""The pipeline's name within the zip, beside the package."""
MOST_BYTES = 5_000_000

_PACKAGE = "oncefold"
_ROOT = Path(__file__).parents[2]
_ALLOWED = frozenset({"botocore", *sys.stdlib_module_names})
_TIMESTAMP = (1980, 1, 1, 0, 0, 0)
"""The earliest that a zip can hold."""
_MODE = 0o100644
_UNIX = 3
_LEVEL = 9

_FIRST_REGION = "us-east-1"
"""The region that S3 takes for none being named, and refuses to be named."""


@dataclass(frozen=True, slots=True)
class Package:
    """The zip's bytes."""

    data: bytes

    @property
    def sha256(self) -> str:
        """What names it: 64 hexadecimal digits."""
        return hashlib.sha256(self.data).hexdigest()


def build(pipeline: Pipeline) -> Package:
    """The zip of a pipeline. Raises OncefoldError if the code imports what must not be in it."""
    spare = set() if pipeline.expressions else FOR_EXPRESSIONS
    files = {name_in_zip(path): bare(path.read_bytes()) for name, path in modules().items() if name not in spare}
    files[PIPELINE_FILE] = to_toml(pipeline).encode()
    files |= {f"{ZONE_FOLDER}/{name}": zone_file(name) for name in pipeline.timezones}
    data = zipped(files)
    if len(data) > MOST_BYTES:
        raise OncefoldError(
            f"the functions' zip has {len(data):,} bytes, more than {MOST_BYTES:,}; drop what it imports"
        )
    return Package(data)


def zipped(files: dict[str, bytes]) -> bytes:
    """Files as a zip, the same bytes from the same files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _TIMESTAMP)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = _UNIX
            entry.external_attr = _MODE << 16
            archive.writestr(entry, files[name], compresslevel=_LEVEL)
    return buffer.getvalue()


def name_in_zip(path: Path) -> str:
    """Where a module's file is in a zip."""
    return path.relative_to(_ROOT.parent).as_posix()


def modules(entry: str = ENTRY, *, root: bool = True) -> dict[str, Path]:
    """Every module of this package that importing `entry` brings in, with its file.

    Without `root` the package's own module is left out: the zip has an empty one in its place.

    Raises OncefoldError for an import from outside that Lambda would not find, or find slowly.
    """
    found: dict[str, Path] = {}
    seen: set[str] = set() if root else {_PACKAGE}
    waiting = [entry]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        path = _file_of(name)
        if path is None:
            continue
        found[name] = path
        waiting += _parents(name)
        for imported in _imports(path.read_bytes(), whole=name != _PACKAGE):
            _check(name, imported)
            waiting += [imported, *_parents(imported)]
    return found


def _check(importer: str, imported: str) -> None:
    top = imported.partition(".")[0]
    if top not in _ALLOWED and top != _PACKAGE:
        raise OncefoldError(f"{importer} imports {imported}: the functions may import nothing but botocore; drop it")


def _file_of(name: str) -> Path | None:
    """A module's file; None for what is no module of this package, such as a name within one."""
    parts = name.split(".")
    if parts[0] != _PACKAGE:
        return None
    base = _ROOT.joinpath(*parts[1:])
    return next((path for path in (base / "__init__.py", base.with_suffix(".py")) if path.is_file()), None)


def _parents(name: str) -> Iterator[str]:
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


@cache
def _imports(source: bytes, *, whole: bool) -> tuple[str, ...]:
    """What a module imports by absolute names; those in functions too if `whole`. Types' imports are no imports.

    The package's own functions open the embedded engine, which has no place in Lambda; so it is not read whole.
    """
    found: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif not _is_for_types(node) and (whole or not isinstance(node, ast.FunctionDef)):
            waiting += ast.iter_child_nodes(node)
    return tuple(sorted(found))


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


CLOSED = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
"""Settings by which a bucket is closed to the public, each true."""


def tls_only(bucket: Any, objects: Any) -> dict[str, Any]:
    """A bucket's policy that refuses requests without TLS, by the ARNs of the bucket and of all that is in it."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "TlsOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [bucket, objects],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
    }


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket by its name; `owner` is the account that must own it, None for one that a person chose."""

    name: str
    region: str
    owner: str | None = None

    @classmethod
    def of_account(cls, account: str, region: str) -> "Bucket":
        """The bucket of an account and region where none was chosen."""
        return cls(f"oncefold-{account}-{region}", region, account)

    def exists(self, s3: Any) -> bool:
        """Whether it is there. Raises OncefoldError if it is somebody else's, or one that was chosen is missing."""
        try:
            s3.head_bucket(Bucket=self.name, **self._owned)
        except s3.exceptions.ClientError as error:
            code = error.response["Error"]["Code"]
            if code in {"403", "AccessDenied"}:
                raise OncefoldError(
                    f"S3: the bucket {self.name} is not yours to use; name another one with --bucket"
                ) from None
            if code not in {"404", "NoSuchBucket"}:
                raise
            if self.owner is None:
                raise OncefoldError(
                    f"S3: there is no bucket {self.name}; make it, or leave --bucket out for one of its own"
                ) from None
            return False
        return True

    def make(self, s3: Any) -> None:
        """Create it: encrypted, closed to the public, and for TLS alone."""
        constraint: dict[str, Any] = {"LocationConstraint": self.region}
        location = {} if self.region == _FIRST_REGION else {"CreateBucketConfiguration": constraint}
        s3.create_bucket(Bucket=self.name, **location)
        s3.put_public_access_block(
            Bucket=self.name, PublicAccessBlockConfiguration=dict.fromkeys(CLOSED, True), **self._owned
        )
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
        s3.put_bucket_encryption(
            Bucket=self.name, ServerSideEncryptionConfiguration={"Rules": [rule]}, **self._owned
        )  # fmt: skip
        s3.put_bucket_policy(Bucket=self.name, Policy=json.dumps(self._tls_only), **self._owned)

    def put(self, key: str, package: Package, s3: Any) -> None:
        """Store a zip."""
        s3.put_object(Bucket=self.name, Key=key, Body=package.data, ContentType="application/zip", **self._owned)

    @property
    def _tls_only(self) -> dict[str, Any]:
        arn = f"arn:{_partition(self.region)}:s3:::{self.name}"
        return tls_only(arn, f"{arn}/*")

    @property
    def _owned(self) -> dict[str, str]:
        return {} if self.owner is None else {"ExpectedBucketOwner": self.owner}


def _partition(region: str) -> str:
    """The partition of a region, which its ARNs begin with."""
    prefixes = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}
    return next((partition for prefix, partition in prefixes.items() if region.startswith(prefix)), "aws")


def key_of(package: Package, names: Names) -> str:
    """Where a stack's zip is kept: other contents, another key."""
    return f"{names.stack}/{package.sha256}.zip"
