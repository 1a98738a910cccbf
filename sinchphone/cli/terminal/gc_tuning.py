"""The garbage collector, kept out of the way of a start, of sound, and of an end.

While modules are imported it searches again and again what stays anyway (a tenth of the start); each full search of them later
stops every thread for some 30 ms, the media thread too; and at the exit one more takes a tenth of a second, for nothing.
"""

import gc
from typing import Final

SETTLED_S: Final = 2.0  # after the start of a command's work; by then all that a call needs is imported


def put_off() -> None:
    """Collect nothing until ``settle``. A command that is over before that needs no collection at all."""
    gc.disable()


def settle() -> None:
    """What there is now stays; collect what comes after it. Does nothing where collection wasn't put off."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def leave() -> None:
    """The process ends, and what is left goes with it: don't search it."""
    gc.freeze()
