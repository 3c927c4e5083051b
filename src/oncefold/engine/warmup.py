"""The first start of the kernels: numba compiles them once per machine; afterwards they load from its cache."""

import threading
import time
from collections.abc import Callable
from decimal import Decimal

import numpy as np
import pyarrow as pa

from oncefold.columnar.state import ChangeLog, KeyedState, nothing_accumulated, with_leaves
from oncefold.columnar.table import TableDecoder
from oncefold.columnar.text import TextDecoder
from oncefold.columnar.trees import Trees
from oncefold.commit import States
from oncefold.core.definition_toml import parse_toml
from oncefold.engine.tuning import tune_gc, tune_malloc

_NOTICE_SECONDS = 1.5
"""Loading from the cache takes less; compiling takes more."""

_SAMPLE = """
name = "warm-up"
[event]
key = ["k", "t"]
version = "v"
[rollups]
r = ["k", { field = "t", window = "1h" }]
[measures]
m = { sum = "m", scale = 2 }
"""


def warm_up(notify: Callable[[str], None]) -> float:
    """Load or compile every kernel; the seconds it took. Compiling is announced by `notify`, and its end."""
    tune_malloc()
    tune_gc()
    began = time.monotonic()
    notice = "compiling for this machine, once; it takes about half a minute ..."
    timer = threading.Timer(_NOTICE_SECONDS, notify, [notice])
    timer.daemon = True
    timer.start()
    try:
        _run_all_kernels()
    finally:
        timer.cancel()
    seconds = time.monotonic() - began
    if seconds > _NOTICE_SECONDS:
        notify(f"compiled in {seconds:.0f} s; the next start takes a second")
    return seconds


def _run_all_kernels() -> None:
    pipeline = parse_toml(_SAMPLE)
    text, table = TextDecoder(pipeline), TableDecoder(pipeline)
    texts = pa.record_batch({"k": ["a"], "t": ["2020-01-01"], "v": ["1"], "m": ["1.5"]})
    numbers = pa.record_batch({"k": ["a"], "t": ["2020-01-01"], "v": [1], "m": [Decimal("1.5")]})
    batches = [
        text.json(b'{"k":"a","t":"2020-01-01","v":1,"m":1.5}\n{}\n', "", 0),
        text.csv(b"a,2020-01-01,1,1.5\n", "", 0, ("k", "t", "v", "m")),
        table.decode(texts, "", 0),
        table.decode(numbers, "", 0),
    ]
    state, trees, log, net = KeyedState(1), Trees(pipeline), ChangeLog(1), nothing_accumulated(0, 1)
    for batch in batches:
        codes = trees.intern(batch.leaves)
        net = with_leaves(net, trees.leaves.count)
        state.fold(batch, codes, trees.leaves, net, log)
        _, nodes = trees.new_leaves_and_nodes()
        trees.apply(net, nodes)
    state.reserve(10_000, 0)
    state.add_keys(pa.array([b"b"], pa.large_binary()))
    state.set_states(0, States(np.zeros(1, np.int64), np.zeros(1, np.int32), np.zeros((1, 1), np.int64)))
