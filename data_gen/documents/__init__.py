"""Readers: one a kind of API document, each yielding Documents."""
