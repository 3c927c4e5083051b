"""The starting kit: a folder with handlers that have gaps."""

from importlib.resources import files
from pathlib import Path

from oncefold.core.errors import OncefoldError

FILES = ("functions.py", "README.md")


def text(name: str) -> str:
    """A file of the kit."""
    return files("oncefold_workshop.course").joinpath("kit", f"{name}.txt").read_text(encoding="utf-8")


def write(folder: Path, *, force: bool) -> list[Path]:
    """Write the kit's files; where they lie. Raises OncefoldError, before any is written, if one would be replaced."""
    targets = [folder / name for name in FILES]
    there = [target for target in targets if target.exists()]
    if there and not force:
        named = " and ".join(map(str, there))
        raise OncefoldError(f"{named}: already there; name another folder, or overwrite with --force")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for target in targets:
            target.write_text(text(target.name), encoding="utf-8", newline="\n")
    except OSError as error:
        raise OncefoldError(f"{folder}: cannot be written: {error.strerror}; name another folder") from None
    return targets
