"""Programs that some tests need and not every machine has.

A test that lacks one is skipped, and the end of the run names it, how many tests it is about, and the command that
installs it. With `--require chromium,nginx` the tests that need these fail instead; continuous integration runs so.
"""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

REQUIRED = "ONCEFOLD_REQUIRED_PROGRAMS"
"""The variable of the environment by which the names after `--require` reach the workers."""

INSTALL = "make programs"
"""Installs every program below where the machine has apt-get."""

_ROOT = Path(__file__).parent.parent.parent
_MARK = "needs "


@dataclass(frozen=True)
class Program:
    """Something to run, and how to find it."""

    name: str
    purpose: str
    find: Callable[[], str | None]
    """Its path, or none."""


def _on_the_path(*names: str) -> Callable[[], str | None]:
    return lambda: next((path for name in names if (path := shutil.which(name))), None)


def _dynoxide() -> str | None:
    path = _ROOT / ".venv" / "node" / "node_modules" / "@dynoxide" / "linux-x64" / "dynoxide"
    return str(path) if os.access(path, os.X_OK) else None


CHROMIUM = Program(
    "chromium",
    "a browser, for the dashboard",
    _on_the_path("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
)
NGINX = Program("nginx", "a reverse proxy, for the documented deployment", _on_the_path("nginx"))
DYNOXIDE = Program("dynoxide", "one more DynamoDB, for the AWS contract", _dynoxide)


def need(program: Program) -> str:
    """The program's path; without it the test is skipped, or fails where the program is required."""
    path = program.find()
    if path is None:
        reason = f"{_MARK}{program.name} ({program.purpose})"
        if program.name in os.environ.get(REQUIRED, "").split(","):
            pytest.fail(f"{reason}; install it: {INSTALL}", pytrace=False)
        pytest.skip(reason)
    return path


def summary(skip_reasons: Iterable[str]) -> list[str]:
    """Lines for the end of a run: what did not run for want of a program."""
    missing = Counter(reason for reason in skip_reasons if reason.startswith(_MARK))
    if not missing:
        return []
    lines = [
        f"{count} tests did not run: each {reason}" if count > 1 else f"1 test did not run: it {reason}"
        for reason, count in sorted(missing.items())
    ]
    return [*lines, f"To run them too, install what is missing: {INSTALL}"]
