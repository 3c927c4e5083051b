"""The emulator's process: `python -m ministack` with DynamoDB's decimal arithmetic, ended with the one that started it.

`python -m oncefold_lab.local.ministack_server`, settings in the environment; it ends when its standard input does.
"""

import decimal
import os
import runpy
import sys
import threading

from oncefold.dynamodb.items import NUMBER_DIGITS


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    """Serve until the parent ends."""
    # ministack adds numbers in Python's default context, whose 28 digits are fewer than DynamoDB's 38.
    decimal.DefaultContext.prec = NUMBER_DIGITS
    decimal.setcontext(decimal.Context(prec=NUMBER_DIGITS))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.argv[:] = ["ministack"]
    runpy.run_module("ministack", run_name="__main__")


if __name__ == "__main__":
    main()
