"""`python -m bench.serve`."""

import sys

from bench.serve.command import main

sys.exit(main())
