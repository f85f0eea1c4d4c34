"""`python -m toolace`: the same as the `toolace` command."""

import sys

from toolace.cli import main

sys.exit(main())
