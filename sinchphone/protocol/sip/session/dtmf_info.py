"""Digits in INFO bodies: ``application/dtmf-relay`` and ``application/dtmf``, as phones and PBXs write them (legacy, says RFC 6086)."""

import re
from typing import Final

from sinchphone.errors import LocalProtocolError, RemoteProtocolError
from sinchphone.protocol.digits import DIGITS

RELAY: Final = "application/dtmf-relay"
PLAIN: Final = "application/dtmf"
USUAL_MS: Final = 160
_SIGNAL: Final = re.compile(r"^\s*signal\s*=\s*([0-9A-D*#]{1,2})\s*$", re.IGNORECASE | re.MULTILINE)
_DURATION: Final = re.compile(r"^\s*duration\s*=\s*([0-9]{1,5})\s*$", re.IGNORECASE | re.MULTILINE)


def read_digit(content_type: str, body: bytes) -> tuple[str, int]:
    """The digit and its duration [ms]; raises RemoteProtocolError where there is none."""
    text = body[:256].decode("ascii", "replace").replace("\r\n", "\n")
    match = _SIGNAL.search(text)
    if match is None and content_type == PLAIN:
        match = re.match(r"\s*([0-9A-D*#]{1,2})\s*$", text, re.IGNORECASE)
    if match is None:
        raise RemoteProtocolError("an INFO has no digit that can be read")
    digit = match[1].upper()
    if len(digit) > 1:  # some write the event's number of RFC 4733: 10 is *, 11 is #
        if not digit.isdecimal() or int(digit) >= len(DIGITS):
            raise RemoteProtocolError("an INFO has no digit that can be read")
        digit = DIGITS[int(digit)]
    duration = _DURATION.search(text)
    return digit, min(max(int(duration[1]) if duration else USUAL_MS, 40), 8000)


def write_digit(digit: str, duration_ms: int) -> bytes:
    """The body of an INFO; raises LocalProtocolError for what is no digit."""
    if len(digit) != 1 or digit.upper() not in DIGITS:
        raise LocalProtocolError("that's no digit")
    return f"Signal={digit.upper()}\r\nDuration={duration_ms}\r\n".encode()
