"""`python -m oncefold` is the command `oncefold`."""

import sys

from oncefold.cli.main import program

if __name__ == "__main__":
    sys.exit(program())
