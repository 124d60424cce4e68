"""The faults that the simulated broker can be told to show, by name."""
