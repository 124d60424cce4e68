"""The garbage collector: off while the program loads, since imports make many objects and no garbage, and rare after.

A tenth of a short command's time. What runs on says `loaded()` before its work begins.
"""

import gc
from typing import Final

# A look over many accounts makes thousands of objects and hardly a cycle; to search for one each 700 is wasted time.
_NEW_OBJECTS: Final = 20_000


def loading() -> None:
    """Collect nothing for now."""
    gc.disable()


def loaded() -> None:
    """Collect from here on, and leave alone what is there already: it stays."""
    gc.set_threshold(_NEW_OBJECTS)
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
