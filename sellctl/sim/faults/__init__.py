"""The faults of the simulated broker, by name."""
