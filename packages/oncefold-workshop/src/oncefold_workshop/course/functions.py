"""Where a learner's handlers are (`MODULE:STATE,MAP,REDUCE` or `MODULE:STATE,REDUCE,SWEEP@minute`), and the kit."""

from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from oncefold.core.errors import OncefoldError

SCHEDULED = "@minute"
"""Behind the name of a function that is run once a minute."""
FORM = "MODULE:STATE,MAP,REDUCE or MODULE:STATE,REDUCE, and NAME@minute behind for one that runs every minute"


@dataclass(frozen=True, slots=True)
class LearnerFunctions:
    """A module's file and the names of its handlers. Another process can be given it."""

    module: str
    """Its name below the root, with dots."""
    root: Path
    """The folder in which the learner's modules lie."""
    shared: bool
    """Whether others' packages lie there too, so that only the module's own package is the learner's."""
    state: str
    map: str | None
    reduce: str
    sweep: str | None = None

    def own_file(self, name: str) -> Path | None:
        """The file of a module of the learner's; None for one that is not."""
        top = name.partition(".")[0]
        if self.shared and top != self.module.partition(".")[0]:
            return None
        return _file(self.root, name)


def _file(root: Path, name: str) -> Path | None:
    place = root.joinpath(*name.split("."))
    for file in (place.with_name(f"{place.name}.py"), place / "__init__.py"):
        if file.is_file():
            return file
    return None


def parse(text: str, here: Path) -> LearnerFunctions:
    """Read what an option says. `here`: the folder in which modules are looked for first. Raises OncefoldError."""
    place, _, listed = text.rpartition(":")
    names = [name.strip() for name in listed.split(",")]
    sweep = names.pop().removesuffix(SCHEDULED) if names[-1].endswith(SCHEDULED) else None
    if not place or len(names) not in {2, 3} or not all(name.isidentifier() for name in (*names, sweep or "none")):
        raise OncefoldError(f"--functions {text}: write {FORM}")
    module, root, shared = _found(place, here)
    middle = names[1] if len(names) == 3 else None
    return LearnerFunctions(module, root, shared, names[0], middle, names[-1], sweep)


def _found(place: str, here: Path) -> tuple[str, Path, bool]:
    if place.endswith(".py"):
        path = (here / place).resolve()
        if not path.is_file():
            raise OncefoldError(f"--functions: there is no file {place}")
        return path.stem, path.parent, False
    if _file(here, place) is not None:
        return place, here.resolve(), False
    try:
        spec = find_spec(place)
    except (ImportError, ValueError, AttributeError):
        spec = None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise OncefoldError(
            f"--functions: there is no module {place} in {here}, nor is one installed; "
            "`oncefold lab course` writes a functions.py to begin with"
        )
    levels = len(place.split(".")) + (Path(spec.origin).name == "__init__.py")
    return place, Path(spec.origin).resolve().parents[levels - 1], True


KIT_FILES = ("functions.py", "README.md")


def kit_text(name: str) -> str:
    """A file of the kit."""
    return files("oncefold_workshop.course").joinpath("kit", f"{name}.txt").read_text(encoding="utf-8")


def write_kit(folder: Path, *, force: bool) -> list[Path]:
    """Write the kit's files; where they lie. Raises OncefoldError, before any is written, if one would be replaced."""
    targets = [folder / name for name in KIT_FILES]
    there = [target for target in targets if target.exists()]
    if there and not force:
        named = " and ".join(map(str, there))
        raise OncefoldError(f"{named}: already there; name another folder, or overwrite with --force")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for target in targets:
            target.write_text(kit_text(target.name), encoding="utf-8", newline="\n")
    except OSError as error:
        raise OncefoldError(f"{folder}: cannot be written: {error.strerror}; name another folder") from None
    return targets
