"""Where a learner's handlers are, and the starting kit.

`MODULE:STATE,MAP,REDUCE` or `MODULE:STATE,REDUCE,SWEEP@minute` name handlers of one module. `STATE,MAP,REDUCE` without
a colon are three folders or zips as Lambda gets them, each with a `lambda_function` and modules of its own; one folder
that holds the three does as well.
"""

import atexit
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from oncefold.core.errors import OncefoldError

SCHEDULED = "@minute"
"""Behind the name of a function that is run once a minute."""
FORM = (
    "MODULE:STATE,MAP,REDUCE or MODULE:STATE,REDUCE, and NAME@minute behind for one that runs every minute; "
    "or three folders or zips with a lambda_function.py each, STATE,MAP,REDUCE"
)
PACKAGE_MODULE, PACKAGE_HANDLER = "lambda_function", "lambda_handler"
"""What Lambda calls in a folder or zip of its own."""
_STAGES = ("StateLambda", "MapLambda", "ReduceLambda")


@dataclass(frozen=True, slots=True)
class HandlerPlace:
    """A handler, and where its module lies."""

    module: str
    """Its module's name below the root, with dots."""
    root: Path
    """The folder in which the learner's modules lie."""
    shared: bool
    """Whether others' packages lie there too, so that only the module's own package is the learner's."""
    name: str

    def own_file(self, name: str) -> Path | None:
        """The file of a module of the learner's; None for one that is not."""
        top = name.partition(".")[0]
        if self.shared and top != self.module.partition(".")[0]:
            return None
        return _file(self.root, name)


@dataclass(frozen=True, slots=True)
class LearnerFunctions:
    """The handlers of each function. Another process can be given it."""

    state: HandlerPlace
    map: HandlerPlace | None
    reduce: HandlerPlace
    sweep: HandlerPlace | None = None
    packaged: bool = False
    """Whether each lies in a folder of its own, as the workshop's do."""


def _file(root: Path, name: str) -> Path | None:
    place = root.joinpath(*name.split("."))
    for file in (place.with_name(f"{place.name}.py"), place / "__init__.py"):
        if file.is_file():
            return file
    return None


def parse(text: str, here: Path) -> LearnerFunctions:
    """Read what an option says. `here`: the folder in which modules are looked for first. Raises OncefoldError."""
    packages = _packages(text, here)
    if packages is not None:
        found = [_packaged(package) for package in packages]
        return LearnerFunctions(found[0], found[1], found[2], packaged=True)
    place, _, listed = text.rpartition(":")
    names = [name.strip() for name in listed.split(",")]
    sweep = names.pop().removesuffix(SCHEDULED) if names[-1].endswith(SCHEDULED) else None
    if not place or len(names) not in {2, 3} or not all(name.isidentifier() for name in (*names, sweep or "none")):
        raise OncefoldError(f"--functions {text}: write {FORM}")
    places = [HandlerPlace(*_found(place, here), name) for name in names]
    middle = places[1] if len(places) == 3 else None
    tidier = None if sweep is None else HandlerPlace(*_found(place, here), sweep)
    return LearnerFunctions(places[0], middle, places[-1], tidier)


def _packages(text: str, here: Path) -> list[Path] | None:
    """The three folders or zips that a text names; None if it names something else."""
    paths = [(here / part.strip()).resolve() for part in text.split(",")]
    if len(paths) == 1 and paths[0].is_dir() and ":" not in text:
        return [_of_stage(paths[0], stage) for stage in _STAGES]
    if len(paths) == 3 and all(path.is_dir() or zipfile.is_zipfile(path) for path in paths):
        return paths
    return None


def _of_stage(folder: Path, stage: str) -> Path:
    """The folder or zip of a function, by its name."""
    found = [path for path in sorted(folder.glob(f"{stage}*")) if path.is_dir() or path.suffix == ".zip"]
    if not found:
        raise OncefoldError(f"--functions {folder}: there is no folder or zip whose name begins with {stage}")
    return found[0]


def _packaged(path: Path) -> HandlerPlace:
    """The handler in a folder or zip. Raises OncefoldError."""
    root = path if path.is_dir() else _unpacked(path)
    if _file(root, PACKAGE_MODULE) is None:
        raise OncefoldError(f"--functions: there is no {PACKAGE_MODULE}.py in {path}")
    return HandlerPlace(PACKAGE_MODULE, root, shared=False, name=PACKAGE_HANDLER)


def _unpacked(path: Path) -> Path:
    """A zip's content in a folder that is there until this process ends."""
    folder = Path(tempfile.mkdtemp(prefix="oncefold-functions-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    return folder


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


KIT_FILES = ("functions.py", "stack.toml", "README.md")


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
