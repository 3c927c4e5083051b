"""`python -m bench.aws`."""

import sys

from bench.aws.command import main

sys.exit(main())
