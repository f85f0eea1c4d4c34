"""Silence for what libraries print about themselves and no user of a recipe can act upon."""

from __future__ import annotations

import logging
import warnings


def quiet_libraries() -> None:
    """Warnings of transformers stay; progress bars of loading, deprecations and regrets of bitsandbytes go."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_warning()
    transformers_logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning)
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # on a CPU it regrets a kernel that is not installed
