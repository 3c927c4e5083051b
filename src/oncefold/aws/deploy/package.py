"""The functions' code as a zip: what the entry points import, and the pipeline. The same bytes from the same inputs.

The modules are found by following imports in the source, so that nothing is left out and nothing is let in that would
make a cold start slow: beside the standard library, only botocore may be imported, which Lambda's runtime brings.
"""

import ast
import hashlib
import io
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from oncefold.core.definition import Pipeline
from oncefold.core.definition_toml import to_toml
from oncefold.core.errors import OncefoldError

ENTRY = "oncefold.aws.functions.handlers"
"""The module that Lambda imports."""
PIPELINE_FILE = "pipeline.toml"
"""The pipeline's name within the zip, beside the package."""
MOST_BYTES = 5_000_000

_PACKAGE = "oncefold"
_ROOT = Path(__file__).parents[2]
_ALLOWED = frozenset({"botocore", *sys.stdlib_module_names})
_TIMESTAMP = (1980, 1, 1, 0, 0, 0)
"""The earliest that a zip can say."""
_MODE = 0o100644
_UNIX = 3
_LEVEL = 9


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
    files = {_name_in_zip(path): path.read_bytes() for path in modules().values()}
    files[PIPELINE_FILE] = to_toml(pipeline).encode()
    data = _zip(files)
    if len(data) > MOST_BYTES:
        raise OncefoldError(
            f"the functions' zip has {len(data):,} bytes, more than {MOST_BYTES:,}; drop what it imports"
        )
    return Package(data)


def _zip(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _TIMESTAMP)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = _UNIX
            entry.external_attr = _MODE << 16
            archive.writestr(entry, files[name], compresslevel=_LEVEL)
    return buffer.getvalue()


def _name_in_zip(path: Path) -> str:
    return path.relative_to(_ROOT.parent).as_posix()


def modules(entry: str = ENTRY) -> dict[str, Path]:
    """Every module of this package that importing `entry` brings in, with its file.

    Raises OncefoldError for an import from outside that Lambda would not find, or find slowly.
    """
    found: dict[str, Path] = {}
    waiting = [entry]
    while waiting:
        name = waiting.pop()
        path = _file_of(name)
        if path is None or name in found:
            continue
        found[name] = path
        waiting += _parents(name)
        for imported in _imports(path, whole=name != _PACKAGE):
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


def _imports(path: Path, *, whole: bool) -> Iterator[str]:
    """What a module imports by absolute names; those in functions too if `whole`. Types' imports are no imports.

    The package's own functions open the embedded engine, which has no place in Lambda; so it is not read whole.
    """
    waiting: list[ast.AST] = [ast.parse(path.read_bytes())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif not _is_for_types(node) and (whole or not isinstance(node, ast.FunctionDef)):
            waiting += ast.iter_child_nodes(node)


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
