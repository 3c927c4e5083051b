"""One measurement: `python -m bench.child PROBE OPTIONS`; options and result are JSON, the result the last line."""

import json
import sys
from collections.abc import Callable
from typing import Any, Final

from bench.probes import commands, fold, grown, latency, measures, memory, redefine, reopen, shapes, stages
from oncefold.engine.warmup import warm_up

PROBES: Final[dict[str, Callable[..., dict[str, Any]]]] = {
    "fold": fold.measure,
    "grown": grown.measure,
    "memory": memory.measure,
    "reopen": reopen.measure,
    "redefine": redefine.measure,
    "measures": measures.measure,
    "latency": latency.measure,
    "stages": stages.measure,
    "shapes": shapes.measure,
    "commands": commands.measure,
}


def main() -> int:
    probe, options = sys.argv[1:]
    warm_up(lambda text: print(text, file=sys.stderr, flush=True))
    print(json.dumps(PROBES[probe](**json.loads(options))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
