"""The report of a run: one page that works offline, and the same tables as Markdown."""
