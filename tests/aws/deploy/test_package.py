"""The zip: the same bytes every time, all that the functions import and nothing else, quick to import, and it works."""

import ast
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from types import EllipsisType

import botocore
import pytest
from bench.aws.cold_start import PREPARED

from oncefold.aws.connect import client
from oncefold.aws.deploy import package
from oncefold.aws.deploy.bare_source import bare
from oncefold.aws.deploy.package import FOR_EXPRESSIONS, MOST_BYTES, build, modules, name_in_zip
from oncefold.aws.functions import layout
from oncefold.aws.names import Names
from oncefold.core.definition import Pipeline
from oncefold.core.definition_toml import parse_toml
from oncefold.core.errors import OncefoldError
from oncefold.pipeline_file import parse_pipeline
from tests.aws.deploy.pipelines import ALL, RISK
from tests.tools.sizes import in_full

LIBRARIES = Path(botocore.__file__).parent.parent
MOST_SOURCE_BYTES = 280_000
"""Of all modules: Lambda compiles them at every cold start. `python -m bench.aws --cold-start` measures the time."""
MOST_STANDARD_MODULES = 160
"""That the functions load beside their own; the bare interpreter has some thirty."""
SLOW_TO_IMPORT = {
    "asyncio",
    "email",
    "http",
    "multiprocessing",
    "socket",
    "sqlite3",
    "ssl",
    "statistics",
    "unittest",
    "xml",
}

BUILT_ELSEWHERE = """
from oncefold.aws.deploy.package import build
from tests.aws.deploy.pipelines import RISK
print(build(RISK).sha256)
"""

IMPORTED = f"""{PREPARED}
import oncefold.aws.functions.handlers
print(*sorted(sys.modules))
"""

INVOKED = """
import json, sys
sys.dont_write_bytecode = True
sys.path[:0] = [sys.argv[1], sys.argv[2]]
from oncefold.aws.functions import handlers
assert handlers.__file__.startswith(sys.argv[1])

class Context:
    aws_request_id = "1"
    def get_remaining_time_in_millis(self):
        return 30_000

answer = getattr(handlers, sys.argv[3])(json.load(sys.stdin), Context())
print(json.dumps(answer))
"""


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip as Lambda lays it out."""
    folder = tmp_path_factory.mktemp("task")
    with zipfile.ZipFile(io.BytesIO(build(RISK).data)) as archive:
        archive.extractall(folder)
    return folder


def isolated(code: str, *arguments: str | Path, stdin: str = "", **environment: str) -> str:
    """What a fresh interpreter prints that knows nothing but the standard library."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, *map(str, arguments)],
        capture_output=True,
        input=stdin,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("seed", ["1", *in_full("another process, 1 s", "2")])
def test_the_same_pipeline_gives_the_same_bytes(seed: str) -> None:
    here = build(RISK).sha256
    assert here == build(parse_toml(zip_of(RISK).read("pipeline.toml").decode())).sha256
    done = subprocess.run(
        [sys.executable, "-c", BUILT_ELSEWHERE],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": seed, "TZ": f"UTC+{seed}"},
    )
    assert done.stdout.strip() == here


def zip_of(pipeline: Pipeline) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(build(pipeline).data))


@pytest.mark.parametrize("pipeline", ALL, ids=lambda pipeline: pipeline.name[:8])
def test_the_zip_holds_the_functions_and_the_pipeline(pipeline: Pipeline) -> None:
    with zip_of(pipeline) as archive:
        entries = archive.infolist()
        names = [entry.filename for entry in entries]
        assert names == sorted(set(names))
        assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
        assert {entry.external_attr >> 16 for entry in entries} == {0o100644}
        assert all(name == "pipeline.toml" or name.startswith("oncefold/") for name in names)
        rooms = {Path(name).parent.as_posix() for name in names}
        ours = {"", "/aws", "/aws/functions", "/core", "/dynamodb"}
        assert rooms == {".", *(f"oncefold{room}" for room in ours)}
        assert parse_toml(archive.read("pipeline.toml").decode()) == pipeline
    assert len(build(pipeline).data) < MOST_BYTES // 50


def code_of(source: bytes) -> str:
    """A module's syntax tree without texts that are statements, with the line of each statement."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            node.body = [one for one in node.body if not _says_nothing(one)]
    lines = [(type(node).__name__, node.lineno) for node in ast.walk(tree) if isinstance(node, ast.stmt)]
    return ast.dump(tree) + str(lines)


def _says_nothing(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str | EllipsisType)
    )


def test_its_modules_are_those_of_the_release_without_docstrings_and_comments() -> None:
    with zip_of(RISK) as archive:
        for path in modules().values():
            if (name := name_in_zip(path)) in archive.namelist():
                assert code_of(archive.read(name)) == code_of(path.read_bytes())


def test_a_source_loses_what_is_no_code() -> None:
    source = b'''"""Says."""
A = "# no comment"  # a comment
class B(Exception):
    """Why."""
def c():
    """What.

    More."""
    # because
    return """d  \n#"""
'''
    kept = b'''
A = "# no comment"
class B(Exception):
    ...
def c():




    return """d  \n#"""
'''
    assert bare(source) == kept


def test_importing_it_takes_exactly_what_is_in_it(unpacked: Path) -> None:
    loaded = isolated(IMPORTED, unpacked, LIBRARIES).split()
    own = {name for name in loaded if name.partition(".")[0] == "oncefold"}
    assert own == set(modules()) - FOR_EXPRESSIONS
    assert not {name.partition(".")[0] for name in loaded} & {"boto3", "click", "numba", "numpy", "pyarrow", "rich"}


def test_a_cold_start_compiles_and_imports_little(unpacked: Path) -> None:
    """botocore aside, which Lambda brings compiled."""
    assert sum(path.stat().st_size for path in unpacked.rglob("*.py")) < MOST_SOURCE_BYTES
    loaded = isolated(IMPORTED, unpacked, "").split()
    standard = {name for name in loaded if name.partition(".")[0] in sys.stdlib_module_names}
    assert not standard & SLOW_TO_IMPORT
    assert len(standard) < MOST_STANDARD_MODULES


def test_the_functions_run_from_the_zip(unpacked: Path, stack: Names) -> None:
    environment = {"LAMBDA_TASK_ROOT": str(unpacked), "ONCEFOLD_STACK": stack.stack}
    swept = isolated(INVOKED, unpacked, LIBRARIES, "sweep", stdin="{}", **environment).splitlines()
    assert json.loads(swept[-1]) == {"found": 0, "applied": 0, "left": 0, "refused": 0}
    assert json.loads(swept[0])["stack"] == stack.stack
    item = client("dynamodb").get_item(TableName=stack.aggregate_table, Key=layout.DEFINITION_KEY)["Item"]
    assert item["fingerprints"]["SS"] == [RISK.fingerprint]


def test_what_lambda_does_not_bring_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    root = tmp_path / "oncefold"
    (root / "aws").mkdir(parents=True)
    (root / "__init__.py").write_text("def open():\n    import numpy\n")
    (root / "aws" / "__init__.py").write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import rich\n")
    monkeypatch.setattr(package, "_ROOT", root)
    handlers = root / "aws" / "handlers.py"
    handlers.write_text("import json\nimport botocore.session\n")
    assert set(modules("oncefold.aws.handlers")) == {"oncefold", "oncefold.aws", "oncefold.aws.handlers"}
    handlers.write_text("def late():\n    import oncefold.aws.other\n")
    (root / "aws" / "other.py").write_text("from numpy import array\n")
    with pytest.raises(OncefoldError, match=r"oncefold\.aws\.other imports numpy: .* nothing but botocore"):
        modules("oncefold.aws.handlers")


def test_expressions_bring_what_computes_them() -> None:
    pipeline = parse_pipeline("name='x'\nevent={key='id', where='qty > 0'}\nrollups.t=[]\nmeasures.n.sum='qty * 2'")
    with zip_of(pipeline) as archive:
        assert set(archive.namelist()) == {
            *zip_of(RISK).namelist(),
            "oncefold/core/derived.py",
            "oncefold/core/evaluate.py",
        }
