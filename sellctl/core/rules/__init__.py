"""Exit rules, one per file. Each computes an exit signal, or None, from one position and the market. Pure."""
