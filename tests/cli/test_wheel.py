"""The wheel as users get it: in an empty environment, without a compiler, it has its kernels and does its work."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.tools.sizes import full_only

ROOT = Path(__file__).parents[2]
COMPILED_ANEW = ("columnar.fold_kernel.*.o", "columnar.primitives.*.o", "columnar.tree_kernels.*.o")
"""The build finds no code of these; of others it finds what was compiled here, as a second build would."""
PIPELINE = """\
name = "sales"
[event]
key = "id"
[rollups]
places = ["place"]
[measures]
value = { sum = "value", scale = 2 }
"""
EVENTS = """\
{"id": "a", "place": "x", "value": 1.25}
{"id": "b", "place": "y", "value": 2.50}
{"id": "a", "place": "x", "value": 1.25}
"""


def run(*command: str | Path, folder: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@full_only("some kernels are compiled for a distribution, and packages are installed")
def test_a_wheel_installs_without_a_compiler_and_works(tmp_path: Path) -> None:
    source, dist, venv = tmp_path / "source", tmp_path / "dist", tmp_path / "venv"
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__", *COMPILED_ANEW))
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    uv = Path(sys.executable).with_name("uv")
    run(uv, "build", "--wheel", "--out-dir", dist, "--python", sys.executable, source, folder=tmp_path)
    (wheel,) = dist.glob("*.whl")
    compiled = [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".o")]
    assert len(compiled) > 30
    if sys.platform == "linux":
        assert "manylinux_2_17_" in wheel.name

    run(uv, "venv", "--python", sys.executable, venv, folder=tmp_path)
    run(uv, "pip", "install", "--only-binary", ":all:", "--python", venv / "bin" / "python", wheel, folder=tmp_path)
    installed = run(uv, "pip", "list", "--python", venv / "bin" / "python", folder=tmp_path)
    assert not {"numba", "pandas", "boto3", "oncefold-lab"} & set(installed.split())
    oncefold = venv / "bin" / "oncefold"
    (tmp_path / "sales.toml").write_text(PIPELINE)
    (tmp_path / "sales.jsonl").write_text(EVENTS)
    run(oncefold, "run", "sales.toml", "sales.jsonl", "--store", "sales.db", folder=tmp_path)
    totals = run(oncefold, "query", "--store", "sales.db", "--format", "csv", folder=tmp_path)
    assert ",3.75" in totals
