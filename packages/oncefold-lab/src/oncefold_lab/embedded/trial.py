"""A trial: the process's lives on a failing disk, and the store compared with the oracle after each."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

from oncefold.commit import CommitContent
from oncefold.core.definition import Pipeline
from oncefold.core.errors import OncefoldError
from oncefold.engine.session import Session
from oncefold.store import Store
from oncefold.store.wal import Files
from oncefold_lab.disk.disk import Disk, DiskFiles
from oncefold_lab.disk.faults import FaultKind, Survival
from oncefold_lab.disk.vfs import Mounted
from oncefold_lab.embedded.case import Case, Ending, Life
from oncefold_lab.embedded.inputs import Inputs
from oncefold_lab.embedded.oracle import STUMBLED, Examined, Oracle, examine, lay_down
from oncefold_lab.embedded.workload import SESSION, pipeline_of

SECOND = 10**9
BEGIN = 1_000_000 * SECOND


@dataclass(slots=True)
class StepClock:
    """Time that passes with each commit."""

    now: int = BEGIN

    def __call__(self) -> int:
        """Nanoseconds since the epoch."""
        return self.now


@dataclass(slots=True)
class LifeResult:
    """What came of a life."""

    made: bool = False
    """Whether the store was opened."""
    acknowledged: int = 0
    """The last commit that was said to be durable, in this life."""
    tried: int = 0
    """The last commit that was begun."""
    error: str = ""
    """What ended it, if it did not end by itself."""
    unexpected: bool = False
    """Whether that is no error that a user could be shown."""
    done: bool = False
    """Whether nothing is left to do."""
    commits: list[int] = field(default_factory=list)
    """Those acknowledged."""


class WatchedStore(Store):
    """A store that records what it begins, and what it says is durable."""

    lived: LifeResult
    clock: StepClock

    def commit(self, commit: CommitContent, on_durable: Callable[[int], None] = lambda _: None) -> int:
        """As the store does."""
        self.lived.tried = self.last_commit + 1

        def durable(seq: int) -> None:
            self.lived.acknowledged = seq
            self.lived.commits.append(seq)
            on_durable(seq)

        seq = super().commit(commit, durable)
        self.clock.now += SECOND
        return seq


@dataclass(frozen=True, slots=True)
class EngineProcess:
    """A program that folds a case's inputs into the store at `path`."""

    path: Path
    case: Case
    pipeline: Pipeline
    inputs: Inputs
    connect: Callable[[Path], Any]
    files: Files
    clock: StepClock

    def live(self, commits: int, end: Callable[[], object]) -> LifeResult:
        """Make at least so many commits if there is work for them; `end` is called before the store is closed."""
        lived = LifeResult()
        session: Session | None = None
        try:
            session = self._opened(lived)
            lived.made = True
            self._work(session, lived, commits)
        except OncefoldError as error:
            lived.error = str(error)
        except Exception as error:
            lived.error, lived.unexpected = f"{type(error).__name__}: {error}", True
        end()
        if session is not None:
            session.close()
        return lived

    def _opened(self, lived: LifeResult) -> Session:
        store = WatchedStore.open(
            self.path,
            self.pipeline,
            retention=self.case.retention,
            clock=self.clock,
            connect=self.connect,
            files=self.files,
            tuning=self.case.limits.tuning,
        )
        store.lived, store.clock = lived, self.clock
        try:
            return Session(store, self.clock)
        except BaseException:
            store.close()
            raise

    def _work(self, session: Session, lived: LifeResult, commits: int) -> None:
        """Turn to one source after the other, as the inputs say, from where the store is."""
        at, passed = session.engine.last_commit, 0
        for source, number in self.inputs.runs:
            passed += number
            left = passed - max(at, passed - number)
            if left <= 0:
                continue
            if len(lived.commits) >= commits:
                return
            state = session.positions.get(source)
            if source == SESSION:
                data, position = self.inputs.batch(state)
                session.ingest(data, source=SESSION, position=position)
            else:
                session.run(self.inputs.blocks(source, state, left))
        lived.done = True


_STORE = "store.db"
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own in it
_EVERYTHING = 1_000_000
_ENDINGS = {Ending.KILL: FaultKind.KILL, Ending.POWER: FaultKind.POWER}
_LAST = Life((), _EVERYTHING, Ending.CLOSE, Survival.NOTHING)
"""Faults have stopped: everything is done, the store is closed, and then the power goes."""
_NOT_REPORTED = "what was lost was not reported"


@dataclass(frozen=True, slots=True)
class DiskTrialResult:
    """What came of a trial."""

    seed: int
    failure: str
    """What was wrong, empty if nothing."""
    log: tuple[str, ...]
    """Life by life."""
    happened: Counter[str]
    """Faults that struck, and everything else worth counting."""
    steps: int
    """Steps of the disk."""
    commits: int
    lives: int
    digest: str
    """Of every step and every byte written."""


class _TrialFailed(Exception):  # noqa: N818 - it ends a trial, it is no error
    """Something that must not be."""


def attempt(case: Case) -> DiskTrialResult:
    """Live through a case."""
    with _folder() as folder, case.limits.in_force():
        return _Trial(case, folder).run()


class _Trial:
    def __init__(self, case: Case, folder: Path) -> None:
        self._case, self._clock = case, StepClock()
        self._pipeline = pipeline_of(case.definition)
        self._inputs = Inputs(self._pipeline, case.workload)
        self._truth = Oracle(self._pipeline, self._inputs.steps)
        self._disk = Disk(case.traits, Random(f"{case.seed}/disk"))  # noqa: S311
        self._queried = Random(f"{case.seed}/asked")  # noqa: S311
        self._store, self._image = folder / "store" / _STORE, folder / "image"
        self._store.parent.mkdir()
        self._image.mkdir()
        self._made, self._commits, self._lied = False, 0, False
        self._sure, self._begun = 0, 0
        """The commits that must be there, and those that may: what was begun counts until the power has gone."""
        self._log: list[str] = []
        self._happened: Counter[str] = Counter()

    def run(self) -> DiskTrialResult:
        failure = ""
        try:
            with Mounted(self._disk) as mounted:
                process = EngineProcess(
                    path=self._store,
                    case=self._case,
                    pipeline=self._pipeline,
                    inputs=self._inputs,
                    connect=mounted.connect,
                    files=DiskFiles(self._disk),
                    clock=self._clock,
                )
                for life in self._case.lives:
                    self._live(process, life)
                self._finish(process)
        except _TrialFailed as error:
            failure = str(error)
            self._log.append(f"WRONG: {failure}")
        final = len(self._inputs.steps)
        if not failure:
            self._happened.update({str(k.name).lower(): n for k, n in self._truth.after(final).counts.items()})
        return DiskTrialResult(
            seed=self._case.seed,
            failure=failure,
            log=tuple(self._log),
            happened=self._happened + self._disk.happened,
            steps=self._disk.steps,
            commits=self._commits,
            lives=len(self._log),
            digest=self._disk.digest,
        )

    def _finish(self, process: EngineProcess) -> None:
        """Without faults all gets done. What a sync lied about earlier may be lost once more, and is made good."""
        total, lied = len(self._inputs.steps), self._lied
        at = self._live(process, _LAST)
        if at < total and lied:
            at = self._live(process, _LAST)
        if at < total:
            raise _TrialFailed(f"faults have stopped, and it ended at commit {at} of {total}")

    def _live(self, process: EngineProcess, life: Life) -> int:
        """Live through a life, and examine the store; the commit at which the store is."""
        self._disk.arm(life.faults)
        ending = _ENDINGS.get(life.ending)
        lived = process.live(life.commits, lambda: None if ending is None else self._disk.end(ending))
        self._commits += len(lived.commits)
        struck = list(self._disk.struck)
        self._lied |= any(text.startswith(FaultKind.LIE) for text in struck)
        stable = self._disk.ended is FaultKind.POWER or life is _LAST
        if stable:
            self._disk.lose(life.survival)
        self._judge_life(lived, struck)
        self._sure, self._begun = max(self._sure, lived.acknowledged), max(self._begun, lived.tried)
        self._made |= lived.made
        found = self._examined()
        self._report(life, lived, struck, found)
        found = self._judged(found)
        if stable:
            self._sure, self._begun, self._lied = found.commits, found.commits, False
        return found.commits

    def _judge_life(self, lived: LifeResult, struck: list[str]) -> None:
        if lived.unexpected:
            raise _TrialFailed(f"an error that says nothing to a user: {lived.error}")
        if lived.error and not struck:
            raise _TrialFailed(f"nothing was wrong with the disk, and yet: {lived.error}")

    def _examined(self) -> Examined:
        files = self._disk.image()
        if not files.get(_STORE):
            return Examined(0, refusal="there is no store")
        lay_down(files, self._image)
        return examine(self._image / _STORE, self._truth, self._queried)

    def _judged(self, found: Examined) -> Examined:
        """What to go on from."""
        self._happened["commits forgotten by retention"] += found.forgot
        if self._lied:
            return self._judged_after_a_lie(found)
        if found.refusal:
            if self._made:
                raise _TrialFailed(f"the store was there, and is refused: {found.refusal}")
            return found
        if found.commits < self._sure:
            raise _TrialFailed(f"commit {self._sure} was acknowledged, and the store is at commit {found.commits}")
        if found.commits > self._begun:
            raise _TrialFailed(f"the store is at commit {found.commits}, and none beyond {self._begun} was begun")
        if found.wrong or found.damage:
            raise _TrialFailed("; ".join((*found.wrong, *found.damage)))
        return found

    def _judged_after_a_lie(self, found: Examined) -> Examined:
        """What such a sync lost must be seen to be lost: whole commits, or damage that is reported."""
        what = self._verdict(found)
        if what == _NOT_REPORTED:
            raise _TrialFailed(f"a sync lied, and {what}: {'; '.join(found.wrong)}")
        if self._made:
            self._happened[f"after a lying sync: {what}"] += 1
        if found.refusal or found.damage or found.wrong:
            self._begin_anew()
            return Examined(0)
        return found

    def _verdict(self, found: Examined) -> str:
        if found.refusal:
            return "the store was refused"
        if found.damage:
            stumbled = any(damage.startswith(STUMBLED) for damage in found.damage)
            return "check-store stumbled over the damage" if stumbled else "check-store reported the damage"
        if found.wrong:
            return _NOT_REPORTED
        return "nothing was lost" if found.commits >= self._sure else "acknowledged commits were lost, whole"

    def _begin_anew(self) -> None:
        """Someone removes the damaged store and runs the sources into a new one."""
        self._disk.clear()
        self._made, self._lied, self._sure, self._begun = False, False, 0, 0

    def _report(self, life: Life, lived: LifeResult, struck: list[str], found: Examined) -> None:
        parts = [f"acknowledged up to {lived.acknowledged}" if lived.commits else "no commit acknowledged"]
        parts += [f"{text}, {number} times" if number > 1 else text for text, number in Counter(struck).items()]
        parts += [f"error: {lived.error}"] if lived.error else []
        if self._disk.ended is FaultKind.POWER or life is _LAST:
            parts.append(f"power lost, {life.survival} survived")
        elif self._disk.ended is FaultKind.KILL:
            parts.append("killed")
        parts.append(f"refused: {found.refusal}" if found.refusal else f"the store is at commit {found.commits}")
        self._log.append("; ".join(parts).replace(str(self._store), _STORE).replace(str(self._image), ""))


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder in memory where there is one: many files are written there, and none needs to last."""
    made = Path(mkdtemp(prefix="oncefold-lab-", dir=_SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None))
    try:
        yield made
    finally:
        rmtree(made)
