"""Evaluation: benchmark prompts, scoring by the official checkers, statistics and the report."""
