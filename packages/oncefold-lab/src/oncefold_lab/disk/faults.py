"""What can go wrong with a disk, as plain values: which step of which operation, and how."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Operation(StrEnum):
    """What SQLite and the store request of a disk; every request is one step."""

    OPEN = "open"
    READ = "read"
    WRITE = "write"
    SYNC = "sync"
    TRUNCATE = "truncate"
    DELETE = "delete"
    RENAME = "rename"
    LOCK = "lock"
    SIZE = "size"
    ACCESS = "access"


class FaultKind(StrEnum):
    """How a step goes wrong."""

    ERROR = "error"
    """Refused with the operation's own error; nothing happens."""
    FULL = "full"
    """A write finds no room; a part of it may have happened."""
    TORN = "torn"
    """A write is refused after a part of it has happened."""
    BUSY = "busy"
    """A lock is held by someone else."""
    FORGOTTEN = "forgotten"
    """A sync is refused, and what it should have written counts as written from then on: only some of it is."""
    LIE = "lie"
    """A sync reports success and does nothing. No database survives that, so it is drawn on request only."""
    KILL = "kill"
    """The process dies before the step; what it wrote is there."""
    POWER = "power"
    """The power goes before the step; of what was not synced, anything may be there."""


ENDS: Final = frozenset({FaultKind.KILL, FaultKind.POWER})
"""After these nothing else happens until the disk is opened again."""

WHILE: Final[dict[FaultKind, tuple[Operation, ...]]] = {
    FaultKind.ERROR: tuple(Operation),
    FaultKind.FULL: (Operation.WRITE,),
    FaultKind.TORN: (Operation.WRITE,),
    FaultKind.BUSY: (Operation.LOCK,),
    FaultKind.FORGOTTEN: (Operation.SYNC,),
    FaultKind.LIE: (Operation.SYNC,),
}
"""The operations that can go wrong so; death and loss of power come before a step of any kind."""


@dataclass(frozen=True, slots=True)
class DiskFault:
    """One fault: it strikes the `at`-th step of its operation (from 0, of any if None), and the `times` - 1 after."""

    kind: FaultKind
    operation: Operation | None
    at: int
    times: int = 1
    part: float = 0.5
    """How much of a torn write happens."""

    @property
    def name(self) -> str:
        """`write torn`, `power`: what is counted."""
        return self.kind.value if self.operation is None else f"{self.operation} {self.kind}"

    def __str__(self) -> str:
        what = "step" if self.operation is None else str(self.operation)
        lasting = "" if self.times == 1 else f" and the {self.times - 1} after it"
        return f"{self.kind} at {what} {self.at}{lasting}"


class Survival(StrEnum):
    """What a loss of power leaves of what was not synced."""

    NOTHING = "nothing"
    ALL = "all"
    PREFIX = "prefix"
    """What came first, the last of it torn."""
    SUFFIX = "suffix"
    """What came last, without what came before."""
    SECTORS = "sectors"
    """Any sectors."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What kind of disk it is."""

    sector: int = 512
    """Bytes written whole, mostly."""
    spares_neighbours: bool = True
    """Whether a write that is cut short leaves the bytes beside it alone (SQLite's "powersafe overwrite")."""
    filler: int = 0
    """The byte found where a file grew and nothing was written."""

    def __str__(self) -> str:
        overwrite = "" if self.spares_neighbours else ", torn sectors are lost whole"
        return f"sectors of {self.sector} bytes{overwrite}, gaps of 0x{self.filler:02x}"
