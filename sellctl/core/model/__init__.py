"""Frozen values that the whole program speaks in. Standard library only: no I/O, no clock, no float."""
