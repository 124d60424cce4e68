"""Frozen values that the whole program speaks in. Standard library and msgspec only: no I/O, no clock, no float."""
