"""A lack of memory has many forms, and opening the store again helps against none of them."""

import errno
import sqlite3

import pytest

from oncefold.core.errors import StoreError, StoreMissingError
from oncefold.serve.writer.failures import is_final, reason_of, trace_of


def of_sqlite(code: int) -> StoreError:
    cause = sqlite3.OperationalError("disk I/O error")
    cause.sqlite_errorcode = code
    error = StoreError("risk.db: commit 7: the disk reports an error")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        OSError("ZSTD compression failed: Allocation error : not enough memory"),
        of_sqlite(sqlite3.SQLITE_IOERR_NOMEM),
    ],
)
def test_a_lack_of_memory_is_final_and_shows_no_trace(error: Exception) -> None:
    assert is_final(error)
    assert reason_of(error).startswith("out of memory")
    assert trace_of(error) is None


def test_other_failures_are_tried_again_but_for_a_store_that_is_gone() -> None:
    assert not is_final(of_sqlite(sqlite3.SQLITE_FULL))
    assert not is_final(OSError(errno.EIO, "Input/output error"))
    assert is_final(StoreMissingError("risk.db: the file was removed"))
    mistake = ValueError("of ours")
    assert (is_final(mistake), reason_of(mistake), trace_of(mistake)) == (False, "ValueError: of ours", mistake)
