"""The words every part of the toolkit speaks: Tool, Call, Message, Dialog, Recipe, Run.

Nothing here imports another part of the project, and nothing heavy (no torch) is imported.
"""

from toolace.calls import Call, ParsedCalls, parse_calls, render_calls
from toolace.dialogs import Dialog, Message, read_dialogs, write_dialogs
from toolace.errors import InputError
from toolace.tools import Tool

__version__ = "0.1.0"

__all__ = [
    "Call",
    "Dialog",
    "InputError",
    "Message",
    "ParsedCalls",
    "Tool",
    "__version__",
    "parse_calls",
    "read_dialogs",
    "render_calls",
    "write_dialogs",
]
