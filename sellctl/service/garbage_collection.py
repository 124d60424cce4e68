"""Keeps Python's search for garbage short in processes that watch."""

import gc


def exempt_what_is_loaded() -> None:
    """Exempt from that search, once, all that the process has loaded and read until now.

    The search stops everything, also a stop's order: with 50 accounts of 20 positions for 110 to 145 ms before, and for
    about 10 ms afterwards.
    """
    if not gc.get_freeze_count():
        gc.collect()
        gc.freeze()
