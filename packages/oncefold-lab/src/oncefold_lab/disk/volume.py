"""Files as a system shows them and as a disk holds them: what is not synced is there until the power goes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

from oncefold_lab.disk.faults import Survival, Traits

_LIKELY = 0.5


@dataclass(frozen=True, slots=True)
class PendingWrite:
    """Bytes written at an offset."""

    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class PowerCut:
    """A file cut or grown to a size."""

    size: int


NameChange = PendingWrite | PowerCut


@dataclass(slots=True)
class Inode:
    """One file: what the system shows, what the disk surely holds, and the changes that lie between."""

    shown: bytearray = field(default_factory=bytearray)
    durable: bytearray = field(default_factory=bytearray)
    waiting: list[NameChange] = field(default_factory=list)

    def change(self, change: NameChange, filler: int) -> None:
        """Let it be seen; it waits for a sync."""
        apply(self.shown, change, filler)
        self.waiting.append(change)

    def sync(self, filler: int) -> None:
        """All that waits is durable."""
        for change in self.waiting:
            apply(self.durable, change, filler)
        self.waiting.clear()


class Volume:
    """The files by name. Which names there are is itself unsure until the folder is synced."""

    def __init__(self, traits: Traits) -> None:
        self.traits = traits
        self._names: dict[str, Inode] = {}
        self._sure: dict[str, Inode] = {}

    def find(self, name: str) -> Inode | None:
        """The file of this name."""
        return self._names.get(name)

    def create(self, name: str) -> Inode:
        """Make a file, empty."""
        self._names[name] = Inode()
        return self._names[name]

    def delete(self, name: str) -> None:
        """Take a name away."""
        del self._names[name]

    def rename(self, name: str, to: str) -> None:
        """Move a name to another, which it takes from the file that had it."""
        self._names[to] = self._names.pop(name)

    def clear(self) -> None:
        """Take all files away, for good."""
        self._names, self._sure = {}, {}

    def sync_folder(self) -> None:
        """Which names there are is sure."""
        self._sure = dict(self._names)

    def forget(self, inode: Inode, rng: Random) -> None:
        """A sync fails: some of what waits gets to the disk, the rest is shown and never will be."""
        for part in _parts(inode.waiting, self.traits.sector):
            if rng.random() < _LIKELY:
                apply(inode.durable, part, self.traits.filler)
        inode.waiting.clear()

    def lose(self, survival: Survival, rng: Random) -> None:
        """The power goes: from now on every file shows what the disk holds, and that is sure."""
        after: dict[str, Inode] = {}
        for name in sorted(self._names.keys() | self._sure.keys()):
            now, sure = self._names.get(name), self._sure.get(name)
            kept = now if now is sure or _newer(survival, rng) else sure
            if kept is not None:
                after[name] = kept
        for inode in after.values():
            inode.durable = self._survivor(inode, survival, rng)
            inode.shown = bytearray(inode.durable)
            inode.waiting.clear()
        self._names, self._sure = after, dict(after)

    def image(self) -> dict[str, bytes]:
        """The files as they are shown."""
        return {name: bytes(inode.shown) for name, inode in sorted(self._names.items())}

    def _survivor(self, inode: Inode, survival: Survival, rng: Random) -> bytearray:
        content, waiting = bytearray(inode.durable), inode.waiting
        kept: Iterator[NameChange] = iter(waiting)
        if survival is Survival.NOTHING or not waiting:
            kept = iter(())
        elif survival is Survival.PREFIX:
            kept = self._first(waiting, rng)
        elif survival is Survival.SUFFIX:
            kept = iter(waiting[rng.randrange(len(waiting)) :])
        elif survival is Survival.SECTORS:
            likely = rng.choice((0.1, 0.5, 0.9))
            kept = (part for part in _parts(waiting, self.traits.sector) if rng.random() < likely)
        for change in kept:
            apply(content, change, self.traits.filler)
        return content

    def _first(self, waiting: Sequence[NameChange], rng: Random) -> Iterator[NameChange]:
        whole = rng.randrange(len(waiting))
        yield from waiting[:whole]
        torn = waiting[whole]
        if isinstance(torn, PendingWrite):
            size = rng.randrange(len(torn.data) + 1)
            yield PendingWrite(torn.offset, torn.data[:size])
            if not self.traits.spares_neighbours:
                start = (torn.offset + size) // self.traits.sector * self.traits.sector
                yield PendingWrite(start, rng.randbytes(self.traits.sector))


def apply(content: bytearray, change: NameChange, filler: int) -> None:
    """Do one change to a content."""
    end = change.size if isinstance(change, PowerCut) else change.offset
    content.extend(bytes([filler]) * (end - len(content)))
    if isinstance(change, PowerCut):
        del content[change.size :]
    else:
        content[change.offset : change.offset + len(change.data)] = change.data


def _newer(survival: Survival, rng: Random) -> bool:
    """Whether a change to a name survives."""
    if survival in {Survival.NOTHING, Survival.ALL}:
        return survival is Survival.ALL
    return rng.random() < _LIKELY


def _parts(changes: Sequence[NameChange], sector: int) -> Iterator[NameChange]:
    """The changes, sector by sector."""
    for change in changes:
        if isinstance(change, PowerCut):
            yield change
            continue
        start = 0
        while start < len(change.data):
            end = min(len(change.data), start + sector - (change.offset + start) % sector)
            yield PendingWrite(change.offset + start, change.data[start:end])
            start = end
