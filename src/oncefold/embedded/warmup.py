"""The kernels' first start: numba compiles them once per machine, then they are loaded from its cache."""

import threading
import time
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from oncefold.columnar.keyed import KeyedState
from oncefold.columnar.table import TableDecoder
from oncefold.columnar.text import TextDecoder
from oncefold.columnar.tree import Trees
from oncefold.core.definition_toml import parse_toml
from oncefold.store.commit import States

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


def warm_up(say: Callable[[str], None]) -> float:
    """Load or compile every kernel; the seconds it took. Compiling is announced by `say`, and its end."""
    began = time.monotonic()
    notice = "compiling for this machine, once; it takes about half a minute ..."
    timer = threading.Timer(_NOTICE_SECONDS, say, [notice])
    timer.daemon = True
    timer.start()
    try:
        _touch_all()
    finally:
        timer.cancel()
    seconds = time.monotonic() - began
    if seconds > _NOTICE_SECONDS:
        say(f"compiled in {seconds:.0f} s; the next start takes a second")
    return seconds


def _touch_all() -> None:
    pipeline = parse_toml(_SAMPLE)
    text, table = TextDecoder(pipeline), TableDecoder(pipeline)
    rows = pa.record_batch({"k": ["a"], "t": ["2020-01-01"], "v": ["1"], "m": ["1.5"]})
    batches = [
        text.json(b'{"k":"a","t":"2020-01-01","v":1,"m":1.5}\n{}\n', "", 0),
        text.csv(b"a,2020-01-01,1,1.5\n", "", 0, ("k", "t", "v", "m")),
        table.decode(rows, "", 0),
    ]
    state, trees = KeyedState(1), Trees(pipeline)
    for batch in batches:
        folded = state.fold(batch, trees.intern(batch.places)[batch.place], trees.places)
        _, nodes = trees.new_places_and_nodes()
        trees.apply(folded.accumulated, nodes)
    state.add_keys(pa.array([b"b"], pa.large_binary()))
    state.set_states(0, States(np.zeros(1, np.int64), np.zeros(1, np.int32), np.zeros((1, 1), np.int64)))
