"""Log lines on one stream: JSON for programs, text for people."""

import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, TextIO

Form = Literal["json", "text"]

LOGGER = "oncefold.serve"
_FIELDS = "fields"


def fields(**values: Any) -> dict[str, Any]:
    """Fields of a log line, for the `extra` of a logger's call; those that are None are left out."""
    return {_FIELDS: {name: value for name, value in values.items() if value is not None}}


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, message, then the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line = {"time": _time(record), "level": record.levelname.lower(), "message": record.getMessage()}
        line |= _fields(record)
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True, separators=(",", ":"), default=str)


class TextLines(logging.Formatter):
    """One line of text: time, level, message, then `name=value`; a trace follows on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        values = "".join(f" {name}={_shown(value)}" for name, value in _fields(record).items())
        line = f"{_time(record)} {level}{_printable(record.getMessage())}{values}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class _Handler(logging.StreamHandler[TextIO]):
    """A stream that nobody reads any more stops no server."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Without effect."""


@contextmanager
def logging_to(stream: TextIO, form: Form) -> Iterator[logging.Logger]:
    """Within this, the service's logger writes to this stream; afterwards it is as before."""
    handler = _Handler(stream)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logger = logging.getLogger(LOGGER)
    before = logger.handlers, logger.level, logger.propagate
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.INFO)
    try:
        yield logger
    finally:
        logger.handlers, _, logger.propagate = before
        logger.setLevel(before[1])


def _fields(record: logging.LogRecord) -> Mapping[str, Any]:
    found: Mapping[str, Any] = getattr(record, _FIELDS, {})
    return found


def _time(record: logging.LogRecord) -> str:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03d}Z"


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ",".join(f"{name}:{item}" for name, item in value.items())
    text = _printable(str(value))
    return json.dumps(text) if " " in text or '"' in text or not text else text


def _printable(text: str) -> str:
    """No control character reaches a terminal, and no line break makes two lines of one."""
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
