"""Where Chromium is. It is installed where the machine lets us; else the test fails and says what to install."""

import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from filelock import FileLock

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PACKAGES = ("chromium", "fonts-liberation")


@functools.cache
def chromium() -> str:
    """The path of a Chromium. Fails if there is none and it cannot be installed."""
    with FileLock(Path(tempfile.gettempdir()) / "oncefold-chromium.lock"):  # tests run in several processes
        if _found() is None and shutil.which("apt-get") and os.geteuid() == 0:
            _install()
    found = _found()
    assert found is not None, f"the dashboard's tests need a browser; install one of {', '.join(NAMES)}"
    return found


def _install() -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *PACKAGES]):
        subprocess.run(["apt-get", *command], check=True, env=environment, stdout=subprocess.DEVNULL)


def _found() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)
