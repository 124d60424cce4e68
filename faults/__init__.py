"""The fault bench: market days of the real program against the simulated exchange, with everything going wrong."""
