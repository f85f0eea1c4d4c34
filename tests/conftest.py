"""Keeps the tests of one machine from tripping over each other's threads."""

import os
import signal

# A test's child processes inherit this: two torch processes that spin on two cores stall each other.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# A shell without job control starts background jobs with Ctrl-C ignored, and children inherit that: the tests that
# interrupt a child mean the default.
signal.signal(signal.SIGINT, signal.default_int_handler)
