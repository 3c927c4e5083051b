"""Runs the examples of a page of documentation, and holds the outputs it shows to what they print.

A page is Markdown. Its fenced `sh` and `python` blocks are run in order, all in one new folder. A `text` block that
follows one of them is its output, on both streams. Times of commits, durations, rates and sizes of files differ from
run to run and are not compared. A block behind the comment `<!-- not run: why -->` is left alone.

    python -m tests.oracle.pages README.md docs/TUTORIAL.md

writes the outputs anew into the pages.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 400
"""For one example; the first start on a machine compiles the kernels."""
FOLDER = "/tmp/tour"
"""How the folder in which the examples run is called in their outputs."""

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_VOLATILE = (
    (re.compile(r"\b20(2[5-9]|[3-9]\d)-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)"), "<time>"),
    (re.compile(r"\b[\d,.]+ (B|kB|MB|KiB|MiB)\b"), "<size>"),
    (re.compile(r"; [\d,.]+ s, [\d,]+ events/s"), ""),
    (re.compile(r"\b[\d,]+ d( \d+ h)?(?= (ago|before))"), "<long>"),
    (re.compile(r"\b\d+\.\d+ s\b"), "<seconds>"),
    (re.compile(r"^oncefold: compil.*\n", re.MULTILINE), ""),
    (re.compile(r" +"), " "),
    (re.compile(r"[ \t]+$", re.MULTILINE), ""),
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    kind: str
    text: str
    line: int
    """Of its first line of text."""
    start: int
    end: int
    """Of its text in the page."""
    left_alone: bool

    @property
    def is_run(self) -> bool:
        """Whether it is an example."""
        return self.kind in {"sh", "python"} and not self.left_alone


@dataclass(frozen=True)
class Example:
    """A block that is run, and what the page says that it prints."""

    block: Block
    shown: Block | None


def blocks(page: str) -> list[Block]:
    """All fenced blocks of a page that say their kind."""
    return [
        Block(
            kind=match[1],
            text=match[2],
            line=page.count("\n", 0, match.start()) + 2,
            start=match.start(2),
            end=match.end(2),
            left_alone=bool(re.search(r"<!-- not run: .+ -->\s*\Z", page[: match.start()])),
        )
        for match in _FENCE.finditer(page)
    ]


def examples(page: str) -> list[Example]:
    """The blocks that are run, each with its output."""
    found = blocks(page)
    pairs = zip(found, [*found[1:], None], strict=True)
    return [Example(block, _output_of(page, block, following)) for block, following in pairs if block.is_run]


def _output_of(page: str, block: Block, following: Block | None) -> Block | None:
    if following is None or following.kind != "text":
        return None
    between = page[block.end : following.start].removeprefix("```").removesuffix("```text\n")
    return None if between.strip() else following


def run(page: str, folder: Path, without: Sequence[str] = ()) -> Iterator[tuple[Example, str]]:
    """Run the examples one after the other, but for those that begin so; each with all that it printed.

    Raises AssertionError if one fails.
    """
    for example in examples(page):
        block = example.block
        if block.text.startswith(tuple(without)):
            continue
        command = ["bash", "-euo", "pipefail", "-c"] if block.kind == "sh" else [sys.executable, "-c"]
        done = subprocess.run(
            [*command, block.text],
            cwd=folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"line {block.line}: status {done.returncode}\n{block.text}\n{done.stdout}"
        yield example, done.stdout.replace(os.path.realpath(folder), FOLDER)


def _environment() -> dict[str, str]:
    """As in a shell in which the environment of this Python is activated."""
    own = "ONCEFOLD_KERNEL_CACHE"  # where this environment has its kernels
    kept = {name: value for name, value in os.environ.items() if name == own or not name.startswith("ONCEFOLD")}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**kept, "PATH": path, "PYTHONIOENCODING": "utf-8"}


def steady(output: str) -> str:
    """An output without what differs from run to run."""
    for pattern, instead in _VOLATILE:
        output = pattern.sub(instead, output)
    return output.strip()


def rewritten(page: str, folder: Path) -> str:
    """The page with the outputs as they are now; those that differ in nothing but time stay."""
    changes = [
        (example.shown, output)
        for example, output in run(page, folder)
        if example.shown is not None and steady(output) != steady(example.shown.text)
    ]
    for shown, output in reversed(changes):
        page = page[: shown.start] + output.rstrip() + "\n" + page[shown.end :]
    return page


def main(names: Sequence[str]) -> None:
    """Write the outputs anew into these pages."""
    for name in names:
        path, folder = ROOT / name, Path(FOLDER)
        folder.mkdir()
        try:
            path.write_text(rewritten(path.read_text(encoding="utf-8"), folder), encoding="utf-8")
        finally:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main(sys.argv[1:])
