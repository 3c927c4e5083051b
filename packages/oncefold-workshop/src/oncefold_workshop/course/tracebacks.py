"""Exceptions of a learner's code, shown with its own lines and no others."""

import traceback
from collections.abc import Collection
from pathlib import Path


def _frames(own: Collection[Path], error: BaseException) -> list[traceback.FrameSummary]:
    """The frames of an exception that lie in the learner's files."""
    names = {str(file) for file in own}
    return [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in names]


def error_place(own: Collection[Path], error: BaseException) -> str:
    """Where in the learner's code an exception was raised; nothing if nowhere."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{Path(error.filename).name}, line {error.lineno}"
    frames = _frames(own, error)
    return f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""


def error_summary(own: Collection[Path], error: BaseException) -> str:
    """An exception and its line, in one line."""
    message = " ".join(traceback.format_exception_only(error)[-1].split())
    where = error_place(own, error)
    return f"{message} ({where})" if where else message


def error_trace(own: Collection[Path], error: BaseException) -> str:
    """The traceback of the learner's own code, and the exception."""
    frames = _frames(own, error)
    shown = [traceback.FrameSummary(Path(one.filename).name, one.lineno, one.name, line=one.line) for one in frames]
    head = ["Traceback (your own code):\n", *traceback.format_list(shown)] if frames else []
    return "".join([*head, *traceback.format_exception_only(error)]).rstrip()
