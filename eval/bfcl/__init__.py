"""Berkeley Function-Calling Leaderboard (BFCL): prompts, scoring and aggregation, all through the official package."""
