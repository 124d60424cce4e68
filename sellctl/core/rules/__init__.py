"""Exit rules, one per file: pure, from one position and the market to an exit signal or nothing."""
