"""The libraries of Lambda's Python runtime: AWS's runtime client and boto3 with what they need, and nothing else."""

import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from oncefold.core.errors import OncefoldError

_OF_THE_RUNTIME = ("awslambdaric", "boto3")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def link_libraries(folder: Path) -> None:
    """Make `folder` with links to the libraries as they are installed here. Raises OncefoldError if they are not."""
    folder.mkdir()
    for installed in _with_requirements():
        for name in {file.parts[0] for file in installed.files or ()} - {"..", "__pycache__"}:
            if not name.endswith(".dist-info"):
                (folder / name).symlink_to(Path(str(installed.locate_file(name))).resolve())


def _with_requirements() -> list[Distribution]:
    found: dict[str, Distribution] = {}
    open_names = list(_OF_THE_RUNTIME)
    while open_names:
        name = open_names.pop()
        if name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            if name in _OF_THE_RUNTIME:
                raise OncefoldError("the local pipeline needs AWS's runtime client: pip install oncefold-lab") from None
            continue  # a requirement of another platform
        open_names += _required(found[name])
    return list(found.values())


def _required(installed: Distribution) -> list[str]:
    """Names of what it always needs, in one spelling."""
    lines = [line for line in installed.requires or () if "extra ==" not in line]
    names = [match.group() for line in lines if (match := _NAME.match(line))]
    return [re.sub(r"[-_.]+", "-", name).lower() for name in names]
