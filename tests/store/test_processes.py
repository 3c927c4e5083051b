"""Two processes: one reads while the other writes, one writer at a time, and one that is killed."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from oncefold.core.errors import StoreLockedError
from oncefold.core.nodepath import join
from oncefold.store import Store, StoreFile
from oncefold.store.check import check_store
from tests.store.model import PIPELINE, Facts, Folder, random_batch, stored_facts
from tests.tools.sizes import sized

KILLS = sized(2, 4)
WRITER = """
import sys
from oncefold.store import Store
from oncefold.store.compaction import Levels
from oncefold.store.writer import Tuning
from tests.store.model import PIPELINE, Folder, random_batch

folder = Folder()
with Store.open(sys.argv[1], PIPELINE, tuning=Tuning(Levels(fan_out=3, full_bytes=20_000), wal_bytes=2**18)) as store:
    last = store.load().seq
    print(last, flush=True)
    for number in range(1, int(sys.argv[2]) + 1):
        commit = folder.commit(random_batch(number, number))
        if number > last:
            print(store.commit(commit), flush=True)
"""


@contextmanager
def writer(path: Path, commits: int) -> Iterator[IO[str]]:
    """Another process that commits, saying the number of each commit when it is durable."""
    folder = Path(__file__).parents[2]
    command = [sys.executable, "-c", WRITER, str(path), str(commits)]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout
        finally:
            os.kill(process.pid, signal.SIGKILL)


def test_one_reads_and_none_writes_beside_a_writer(path: Path) -> None:
    expected = _facts(200)
    with writer(path, 200) as said:
        assert said.readline() == "0\n"
        with StoreFile.open(path) as reader:
            seen = 0
            while seen < 60:
                line = said.readline()
                assert line
                found = reader.totals("risk")
                assert found.as_of.seq >= int(line), "what was said to be durable is seen by others"
                assert found.as_of.seq >= seen
                seen = found.as_of.seq
                totals = {row.path: (row.count, row.sums) for row in found.rows if row.count}
                assert totals == _rows(expected[seen])
            with pytest.raises(StoreLockedError, match=r"process \d+ is writing this store"):
                Store.open(path, PIPELINE)
            assert reader.verify().differences == []
        assert check_store(path) == []


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no such signal here")
def test_a_writer_that_is_killed_leaves_whole_commits(path: Path) -> None:
    rng = random.Random(11)
    expected = _facts(KILLS * 40)
    last = 0
    for _ in range(KILLS):
        with writer(path, KILLS * 40) as said:
            assert int(said.readline()) >= last
            for _ in range(rng.randint(1, 30)):
                last = int(said.readline())
        found = stored_facts(path)
        assert found.seq >= last
        assert found == expected[found.seq]
        last = found.seq
    assert check_store(path) == []


def _facts(commits: int) -> list[Facts]:
    folder = Folder()
    said = [folder.facts()]
    for number in range(1, commits + 1):
        folder.commit(random_batch(number, number))
        said.append(folder.facts())
    return said


def _rows(facts: Facts) -> dict[str, tuple[int, tuple[int, ...]]]:
    return {
        join(node.labels): (total.count, total.sums)
        for node, total in facts.totals.items()
        if node.rollup == 0 and total.count
    }
