"""The engine on files: `python -m bench.serve.engine OPTIONS`, the result as JSON."""

import json
import sys
from time import perf_counter
from typing import Any

from bench.definition import PIPELINE
from bench.probes.common import read_through, run
from bench.totals import digest_of_store
from oncefold.engine.session import Session
from oncefold.engine.warmup import warm_up


def measure(files: list[str], store: str) -> dict[str, Any]:
    """Fold the first file as a warm-up, then time each further one, until it is durable."""
    warm_up(lambda words: print(words, file=sys.stderr, flush=True))
    seconds = []
    with Session.open(store, PIPELINE) as session:
        run(session, files[0])
        for file in files[1:]:
            read_through(file)
            began = perf_counter()
            run(session, file)
            seconds.append(perf_counter() - began)
    return {"seconds": seconds, "sha256": digest_of_store(store)}


if __name__ == "__main__":
    print(json.dumps(measure(**json.loads(sys.argv[1]))), flush=True)
