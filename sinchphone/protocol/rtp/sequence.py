"""Numbers of packets: 16 bits that begin anew (RFC 3550 5.1), those of a transport too. Pure."""

from typing import Final

SEQUENCES: Final = 1 << 16
PAST: Final = 0x8000  # a number this far ahead or more is one from the past (RFC 3550 A.1)
