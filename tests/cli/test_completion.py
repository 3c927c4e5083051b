"""`oncefold completion`: a real bash completes with it; the others get what they read."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BASH = shutil.which("bash")
_COMPLETE = """
eval "$(oncefold completion bash)"
COMP_WORDS=({words})
COMP_CWORD={at}
_oncefold_completion oncefold
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    program = tmp_path / "oncefold"
    program.write_text(f"#!{sys.executable}\nimport sys\nfrom oncefold.cli.main import program\nsys.exit(program())\n")
    program.chmod(0o755)
    paths = os.pathsep.join(filter(None, sys.path))
    return {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": paths}


@pytest.mark.skipif(BASH is None, reason="there is no bash here")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("oncefold re", {"redefine", "rejects"}),
        ("oncefold query --st", {"--store", "--stack"}),
        ("oncefold query --format js", {"json", "jsonl"}),
        ("oncefold rejects d", {"discard"}),
        ("oncefold completion f", {"fish"}),
    ],
)
def test_bash_completes(words: str, expected: set[str], environment: dict[str, str]) -> None:
    script = _COMPLETE.format(words=words, at=len(words.split()) - 1)
    done = subprocess.run([str(BASH), "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == expected, done.stderr


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_their_function(shell: str, environment: dict[str, str]) -> None:
    command = [str(Path(environment["PATH"].partition(":")[0]) / "oncefold"), "completion", shell]
    text = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert f"_ONCEFOLD_COMPLETE={shell}_complete" in text
    interpreter = shutil.which(shell)
    if interpreter is not None:
        subprocess.run([interpreter, "-n"], input=text, text=True, check=True)
