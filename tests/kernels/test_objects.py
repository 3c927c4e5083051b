"""Machine code is used only if it is whole, of the present source and for this processor; else it is made anew."""

import importlib.util
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from oncefold.columnar import assemble, parse_kernels
from oncefold.columnar.json_scan import scan_json
from oncefold.columnar.primitives import FIXED_SEED, count_newlines, hash_bytes
from oncefold.kernels import build, compiler, loading, objects, targets
from oncefold.kernels.errors import KernelError
from oncefold.kernels.targets import Target
from tests.tools.sizes import full_only, in_full

TEXT = np.frombuffer(b"one\ntwo\n", np.uint8)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder of objects; it is empty."""
    monkeypatch.setenv(objects.CACHE_VARIABLE, str(tmp_path / "objects"))
    monkeypatch.setattr(objects, "PACKAGE_FOLDER", tmp_path / "none")
    return tmp_path / "objects"


def object_files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.o"))


def test_a_missing_object_is_compiled_once_with_a_line_per_kernel(folder: Path) -> None:
    lines: list[str] = []
    assert loading.load(count_newlines, lines.append)(TEXT) == 2
    assert lines[0] == "compiling 1 kernels for this processor, once ..."
    assert lines[1].startswith("1/1 columnar.primitives.count_newlines: ")
    assert len(lines) == 2
    (path,) = object_files(folder)
    assert path.parent.name == targets.preferred().name
    assert path.name == objects.file_name(count_newlines)
    assert loading.load(count_newlines, lines.append)(TEXT) == 2
    assert len(lines) == 2


@pytest.mark.parametrize(
    "damage", [lambda code: code[:-1], *in_full("3 s each", lambda code: b"", lambda code: b"\0" + code[1:])]
)
def test_a_damaged_object_is_compiled_anew(folder: Path, damage) -> None:
    loading.load(count_newlines, lambda _: None)
    (path,) = object_files(folder)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    lines: list[str] = []
    assert loading.load(count_newlines, lines.append)(TEXT) == 2
    assert len(lines) == 2
    assert path.read_bytes() == whole


def test_an_object_of_another_processor_is_not_loaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = targets.this_machine()
    newer = Target(f"{targets.system()}-v9", "x86-64-v9", needs=frozenset({"a-feature-of-the-future"}))
    objects.write(
        folder / newer.name / objects.file_name(count_newlines), count_newlines, b"code that this processor cannot run"
    )
    monkeypatch.setattr(targets, "baselines", lambda: (newer,))
    assert list(targets.usable()) == [machine]
    assert objects.find(count_newlines) is None


def test_the_best_object_that_the_processor_runs_is_taken(folder: Path) -> None:
    best, *_, least = targets.usable()
    name = objects.file_name(count_newlines)
    objects.write(folder / least.name / name, count_newlines, b"code for any")
    assert objects.find(count_newlines) == b"code for any"
    objects.write(folder / best.name / name, count_newlines, b"code for this one")
    assert objects.find(count_newlines) == b"code for this one"


def test_without_a_compiler_the_message_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(
        KernelError, match=r"no compiled kernels .* for \S+ \(.*\), .*: pip install 'oncefold\[compile\]'"
    ):
        loading.load(count_newlines)


def test_a_failure_of_the_compiler_is_its_message(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler.sys, "executable", "/bin/false")
    with pytest.raises(KernelError, match="the kernels could not be compiled: 1"):
        loading.load(count_newlines, lambda _: None)


SOURCE = """
from oncefold.columnar.primitives import count_newlines, hash_bytes
from oncefold.kernels.declare import inlined, kernel

LIMIT = {limit}

@inlined
def _less(value):
    return value < LIMIT {comment}

@kernel("{array}", returns="i64")
def small(data):
    return count_newlines(data) + _less(len(data))
"""


def key(folder: Path, **changes: object) -> str:
    """The key of `small` with such a source."""
    values = {"limit": 3, "comment": "", "array": "const u8[]", **changes}
    path = folder / f"{len(list(folder.iterdir()))}.py"
    path.write_text(SOURCE.format(**values))
    spec = importlib.util.spec_from_file_location("small", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return objects.source_key(module.small)


def test_the_key_changes_with_all_that_the_code_depends_on(tmp_path: Path) -> None:
    keys = [
        key(tmp_path),
        key(tmp_path, limit=4),
        key(tmp_path, limit=3.0),
        key(tmp_path, comment="or value == 7"),
        key(tmp_path, array="u8[]"),
    ]
    assert len(set(keys)) == len(keys)
    assert key(tmp_path) == keys[0]


def test_a_constant_of_another_module_and_an_array_are_in_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = objects.source_key(scan_json)
    monkeypatch.setattr(parse_kernels, "_POWERS", parse_kernels._POWERS + 1)
    objects._uses.cache_clear()  # as in the next process
    changed = objects.source_key(scan_json)
    monkeypatch.setattr(assemble, "MEASURE_LIMIT", 5)
    objects._uses.cache_clear()
    assert len({before, changed, objects.source_key(scan_json)}) == 3
    objects._uses.cache_clear()


def test_every_kernel_of_the_package_is_found_for_the_build() -> None:
    names = {kernel.name for kernel in build.all_kernels()}
    assert {"columnar.fold_kernel.fold_batch", "sources.csv_quotes.scan", "sources.document._convert"} <= names


def test_a_build_makes_what_is_missing_and_removes_what_is_old(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target, folder = targets.preferred(), tmp_path / "package"
    monkeypatch.setattr(objects, "PACKAGE_FOLDER", folder)
    (folder / target.name).mkdir(parents=True)
    old = folder / target.name / f"{count_newlines.name}-0123456789abcdef.o"
    old.write_bytes(b"old")
    wanted = "oncefold.columnar.primitives:count_newlines"
    for _ in range(2):
        assert build.main(["--into", str(folder), wanted]) == 0
    assert capsys.readouterr().out.count("count_newlines: ") == 1
    assert [path.name for path in object_files(folder)] == [objects.file_name(count_newlines)]


@full_only("kernels are compiled, 7 s")
def test_several_processes_compile_and_each_kernel_once(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = [kernel for kernel in build.all_kernels() if kernel.__module__ == count_newlines.__module__]
    assert len(wanted) > 2
    names = [f"{kernel.__module__}:{kernel.__name__}" for kernel in wanted]
    assert build.main(["--into", str(tmp_path / "package"), *names]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [f"{n + 1}/{len(wanted)}" for n in range(len(wanted))]
    assert {line.split()[1] for line in lines} == {f"{kernel.name}:" for kernel in wanted}


RUN = """
import sys
import numpy as np
from oncefold.columnar.primitives import FIXED_SEED, hash_bytes
print(hash_bytes(np.arange(9, dtype=np.uint8), 0, 9, FIXED_SEED), *("numba" in sys.modules, "llvmlite" in sys.modules))
"""


def test_a_process_that_runs_kernels_imports_no_compiler(folder: Path) -> None:
    loading.load(hash_bytes, lambda _: None)
    expected = hash_bytes(np.arange(9, dtype=np.uint8), 0, 9, FIXED_SEED)
    done = subprocess.run([sys.executable, "-c", RUN], capture_output=True, text=True, check=True)
    with_llvm = not (sys.platform == "linux" and platform.machine() == "x86_64")
    assert done.stdout.split() == [str(expected), "False", str(with_llvm)]
