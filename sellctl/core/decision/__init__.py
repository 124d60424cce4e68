"""Pure: what to do with each position of one snapshot, and why."""
