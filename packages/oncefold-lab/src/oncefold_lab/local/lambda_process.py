"""The process of one execution environment: AWS's runtime client with the function's own code, ended with its parent.

`python -I -S lambda_process.py TASK_ROOT LIBRARIES HANDLER`: without site-packages, so that nothing can be imported
but the function's code, what Lambda's own runtime holds, and the standard library.
"""

import os
import runpy
import sys
import threading


def _end_with_parent() -> None:
    """Wait for the end of the standard input: the parent holds its other end and never writes."""
    os.read(0, 1)
    os._exit(0)


def main() -> None:
    """Serve invocations until the parent ends."""
    task_root, libraries, handler = sys.argv[1:]
    sys.path[:0] = [task_root, libraries]
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.argv[:] = ["awslambdaric", handler]
    runpy.run_module("awslambdaric", run_name="__main__")


if __name__ == "__main__":
    main()
