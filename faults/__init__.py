"""The fault bench: runs market days of the real program against the simulated exchange under injected faults."""
