"""Call ids: ULIDs (26 characters of Crockford's base 32: 48 bits of milliseconds, 80 random bits)."""

from typing import Final

from sinchphone.errors import LocalProtocolError

RANDOM_BYTES: Final = 10
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def make_ulid(now: float, randomness: bytes) -> str:
    """A ULID of that moment (seconds since the epoch) and those 10 random bytes. Sorts by time. Raises LocalProtocolError for
    any other number of bytes."""
    if len(randomness) != RANDOM_BYTES:
        raise LocalProtocolError(f"a ULID takes {RANDOM_BYTES} random bytes")
    number = (int(now * 1000) & (1 << 48) - 1) << 80 | int.from_bytes(randomness)
    return "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(26)))
