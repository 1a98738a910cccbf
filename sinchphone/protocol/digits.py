"""What can be dialled in a call: the digits of RFC 4733 3.2, and pauses."""

import re
from typing import Final

from sinchphone.errors import LocalProtocolError

DIGITS: Final = "0123456789*#ABCD"  # in the order of their codes (RFC 4733 3.2)
MAX_DIGITS: Final = 256  # asked for at once, pauses included
_DIGITS: Final = re.compile(r"[0-9*#A-DwW]+")
_IGNORED: Final = str.maketrans("", "", " -")


def read_digits(text: str) -> str:
    """Digits as people write them (``0-9 * # A-D``, ``w`` waits half a second, ``W`` one), without spaces and dashes. Raises
    LocalProtocolError."""
    digits = text.translate(_IGNORED)
    if not _DIGITS.fullmatch(digits):
        raise LocalProtocolError("digits are 0-9 * # A-D; w waits half a second, W one second")
    if len(digits) > MAX_DIGITS:
        raise LocalProtocolError(f"at most {MAX_DIGITS} digits at once")
    return digits
