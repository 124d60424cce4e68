"""The garbage collector while the program loads: off, since imports make many objects and no garbage.

A tenth of a short command's time. What runs on says `loaded()` before its work begins.
"""

import gc


def loading() -> None:
    """Collect nothing for now."""
    gc.disable()


def loaded() -> None:
    """Collect from here on, and leave alone what is there already: it stays."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
