"""Keeps the tests of one machine from tripping over each other's threads."""

import os

# A test's child processes inherit this: two torch processes that spin on two cores stall each other.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
