"""Why events cannot be committed: the reason in words, and whether another attempt is of use."""

import errno
import sqlite3
from typing import Final

from oncefold.core.errors import OncefoldError, StoreMissingError

_ZSTD_OF_MEMORY: Final = "not enough memory"
"""What pyarrow repeats of zstd, in an OSError without a number."""
_SQLITE_OF_MEMORY: Final = frozenset({sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_IOERR_NOMEM})


def is_final(error: BaseException) -> bool:
    """Whether opening the store again is of no use, or would begin an empty one."""
    return isinstance(error, StoreMissingError) or _is_of_memory(error)


def _is_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, is a lack of memory."""
    if error is None:
        return False
    if isinstance(error, OSError) and (error.errno == errno.ENOMEM or _ZSTD_OF_MEMORY in str(error).lower()):
        return True
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, MemoryError) or code in _SQLITE_OF_MEMORY or _is_of_memory(error.__cause__)


def reason_of(error: BaseException) -> str:
    """What is said of it to whoever sent events, and in the log."""
    if _is_of_memory(error):
        return f"out of memory{f': {error}' if str(error) else ''}; give the server more, or bound it with --max-keys"
    return str(error) if isinstance(error, OncefoldError) else f"{type(error).__name__}: {error}"


def trace_of(error: Exception) -> Exception | None:
    """The error, if its trace says more than its reason: then it is a mistake of ours."""
    return None if isinstance(error, OncefoldError) or _is_of_memory(error) else error
