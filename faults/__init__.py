"""The fault bench: whole market days of the real program against the simulated exchange, with everything going wrong."""
