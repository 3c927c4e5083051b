"""docs/COURSE.md as a learner works through it: `python -m tests.workshop.course.page` writes its outputs anew."""

import ast
import contextlib
import io
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from oncefold.cli.main import main

PAGE = Path(__file__).parents[3] / "docs" / "COURSE.md"
_FENCE = re.compile(r"^```(python|console|toml)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LAB = re.compile(r"^## Lab (\d)", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: code to put into the module, a part of the stack file, or a command and what it prints."""

    kind: str
    text: str
    lab: int
    line: int

    @property
    def command(self) -> list[str]:
        return shlex.split(self.text.splitlines()[0].removeprefix("$ "))

    @property
    def output(self) -> str:
        return self.text.split("\n", 1)[1]


def blocks(page: str) -> Iterator[Block]:
    labs = [(match.start(), int(match[1])) for match in _LAB.finditer(page)]
    for match in _FENCE.finditer(page):
        lab = max((number for start, number in labs if start < match.start()), default=0)
        yield Block(match[1], match[2], lab, page[: match.start()].count("\n") + 1)


def put(module: str, piece: str) -> str:
    """A piece of code put into a module: what is there is replaced, imports go to the top, the rest is added."""
    for statement in ast.parse(piece).body:
        text = "\n".join(piece.splitlines()[statement.lineno - 1 : statement.end_lineno])
        module = _put(module, statement, text)
    ast.parse(module)
    return module


def _put(module: str, statement: ast.stmt, text: str) -> str:
    lines = module.splitlines()
    there = ast.parse(module).body
    if isinstance(statement, ast.Import | ast.ImportFrom):
        last = max(one.end_lineno or 0 for one in there if isinstance(one, ast.Import | ast.ImportFrom))
        return "\n".join([*lines[:last], text, *lines[last:]]) + "\n"
    for one in there:
        if _name(one) is not None and _name(one) == _name(statement):
            return "\n".join([*lines[: one.lineno - 1], text, *lines[one.end_lineno or 0 :]]) + "\n"
    return "\n".join([*lines, "", "", text]) + "\n"


def _name(statement: ast.stmt) -> str | None:
    if isinstance(statement, ast.FunctionDef):
        return statement.name
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
        return statement.targets[0].id
    return None


def put_part(stack: str, part: str) -> str:
    """A function's part of the stack file in the place of the one that is there."""
    parts = re.split(r"(?m)^(?=\[\w+\]$)", stack)
    header = part.splitlines()[0]
    assert sum(one.startswith(header) for one in parts) == 1, header
    return "".join(f"{part.rstrip()}\n\n" if one.startswith(header) else one for one in parts)


def run(command: list[str], folder: Path) -> str:
    """What a command prints, in a folder; errors too."""
    assert command[0] == "oncefold", command
    screen = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(screen), contextlib.redirect_stderr(screen):
        main(command[1:])
    return screen.getvalue()


class Desk:
    """A learner's folder, where the page is followed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def module(self) -> Path:
        return self.folder / "functions.py"

    def follow(self, block: Block) -> str | None:
        """Do what a block says; what it prints, if it is a command that does."""
        if block.kind == "python":
            self.module.write_text(put(self.module.read_text(encoding="utf-8"), block.text), encoding="utf-8")
            return None
        if block.kind == "toml":
            stack = self.folder / "stack.toml"
            stack.write_text(put_part(stack.read_text(encoding="utf-8"), block.text), encoding="utf-8")
            return None
        if block.command[0] == "grep":
            _, text, file = block.command
            lines = (self.folder / file).read_text(encoding="utf-8").splitlines(keepends=True)
            return "".join(line for line in lines if text in line)
        if block.command[0] == "cd":
            self.folder = self.folder / block.command[1]
            return ""
        return run(block.command, self.folder)


def write() -> None:
    page = PAGE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(Path(folder))
        done = 0
        for block in list(blocks(page)):
            printed = desk.follow(block)
            if printed is not None:
                sys.stderr.write(f"line {block.line}: {shlex.join(block.command)}\n")
                first = block.text.splitlines()[0]
                old, new = f"```console\n{block.text}```", f"```console\n{first}\n{printed}```"
                place = page.index(old, done)
                page = page[:place] + new + page[place + len(old) :]
                done = place + len(new)
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    write()
