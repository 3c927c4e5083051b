"""What a measurement was made on, without the machine's name or paths."""

import os
import platform
import sqlite3
import time
from importlib.metadata import version
from pathlib import Path

_SYNCS = 20


def describe(folder: Path) -> str:
    """One paragraph: the processor, the software and the disk under the work folder."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "llvmlite", "pyarrow"))
    return (
        f"Oncefold {version('oncefold')} on {cores()} cores ({cpu_model()}), {platform.system()}, "
        f"{platform.python_implementation()} {platform.python_version()}, SQLite {sqlite3.sqlite_version}, "
        f"{libraries}. The stores are on {filesystem(folder)}, where a write of 4 KiB is synced "
        f"in {sync_seconds(folder) * 1000:.1f} ms."
    )


def cores() -> int:
    """The number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_model() -> str:
    """The processor's name as the system gives it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def filesystem(folder: Path) -> str:
    """The kind of file system a folder is on; in `tmpfs`, for one, a sync costs nothing."""
    mounts, found, kind = Path("/proc/mounts"), "", "a file system of unknown kind"
    if mounts.is_file():
        for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines():
            _, point, named, *_ = line.split()
            if folder.resolve().is_relative_to(point) and len(point) >= len(found):
                found, kind = point, named
    return kind


def sync_seconds(folder: Path) -> float:
    """The median time to write a page and sync it."""
    path = folder / f".sync-{os.getpid()}"
    times = []
    try:
        with path.open("wb", buffering=0) as file:
            for _ in range(_SYNCS):
                began = time.perf_counter()
                file.write(bytes(4096))
                os.fsync(file.fileno())
                times.append(time.perf_counter() - began)
    finally:
        path.unlink(missing_ok=True)
    return sorted(times)[_SYNCS // 2]
