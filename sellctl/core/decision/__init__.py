"""The decision: what to do with each position of one snapshot, and why. Pure."""
