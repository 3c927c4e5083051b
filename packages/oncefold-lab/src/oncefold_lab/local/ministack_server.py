"""The emulator's process: ministack with the decimal arithmetic of DynamoDB, ended with the process that started it.

`python -m oncefold_lab.local.ministack_server`, settings in the environment; it ends when its standard input does.
"""

import decimal
import os
import sys
import threading

from oncefold.aws.functions.layout import NUMBER_DIGITS


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    """Serve until the parent lets go."""
    # ministack adds numbers in Python's default context, whose 28 digits are fewer than DynamoDB's 38.
    decimal.DefaultContext.prec = NUMBER_DIGITS
    decimal.setcontext(decimal.Context(prec=NUMBER_DIGITS))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from ministack.app import main as serve

    sys.argv[1:] = []
    serve()


if __name__ == "__main__":
    main()
