"""examples/notebook: each notebook runs in a real kernel, from its first cell to its last, and shows what it holds."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.tools.sizes import full_only

NOTEBOOKS = sorted((Path(__file__).parent.parent / "examples" / "notebook").glob("*.ipynb"))
SHOWN = ("text/plain", "text/html")
_FOLDER = re.compile(r"(?:/[\w.-]+)+/(?=orders\.db)")
_NOW = re.compile(r"20\d\d-\d\d-\d\dT[\d:.]+Z")


def outputs(notebook: dict[str, Any]) -> list[dict[str, str]]:
    """What each cell of code shows, without this machine's folders and today's time."""
    shown = []
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            assert output["output_type"] == "execute_result", output
            texts = {kind: "".join(output["data"].get(kind, "")) for kind in SHOWN}
            shown.append({kind: _NOW.sub("TIME", _FOLDER.sub("", text)) for kind, text in texts.items()})
    return shown


@full_only("a kernel of Jupyter, 3 s")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_runs_and_shows_what_it_holds(path: Path, tmp_path: Path) -> None:
    done = tmp_path / "done.ipynb"
    command = [sys.executable, "-m", "jupyter", "execute", "--timeout", "120", "--output", str(done), str(path)]
    folders = {"JUPYTER_RUNTIME_DIR": str(tmp_path), "IPYTHONDIR": str(tmp_path), "JUPYTER_PLATFORM_DIRS": "1"}
    ran = subprocess.run(command, env=os.environ | folders, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    found, kept = json.loads(done.read_text()), json.loads(path.read_text(encoding="utf-8"))
    assert outputs(found) == outputs(kept)
    assert len(outputs(kept)) > 5
