"""Channels' names: those that an exchange makes, and those that somebody made up (pure)."""

import re
from typing import Final

_DERIVED: Final = re.compile(r"(?:broadcast|signal|transport|gateway)-[\w-]{32}|call-[\w-]{43}", re.ASCII)


def is_derived_channel(name: str) -> bool:
    """Whether a channel's name is one that an exchange makes, of a device, a user or a call that may be known or not."""
    return _DERIVED.fullmatch(name) is not None
