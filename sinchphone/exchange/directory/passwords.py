"""Passwords as they are kept: scrypt (RFC 7914), each with its own salt and the costs that it was made with."""

import base64
import hashlib
import hmac
import os
from typing import Final

_LOG2_COST: Final = 15  # 32 MiB of memory at 8 blocks
_BLOCKS: Final = 8
_RUNS: Final = 3
_PASSWORD_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32
_MEMORY_BYTES: Final = 64 * 1024 * 1024


def hash_password(password: str) -> str:
    """What is kept of a password. Takes a good tenth of a second, on purpose."""
    salt = os.urandom(_PASSWORD_SALT_BYTES)
    derived = _derive(password, salt, _LOG2_COST, _BLOCKS, _RUNS)
    return "$".join(("scrypt", str(_LOG2_COST), str(_BLOCKS), str(_RUNS), _text(salt), _text(derived)))


def is_password(password: str, kept: str) -> bool:
    """Whether this is the password of which ``kept`` is kept. Takes as long where it isn't."""
    scheme, log2_cost, blocks, runs, salt, derived = kept.split("$")
    if scheme != "scrypt":
        return False
    given = _derive(password, base64.b64decode(salt), int(log2_cost), int(blocks), int(runs))
    return hmac.compare_digest(given, base64.b64decode(derived))


def _derive(password: str, salt: bytes, log2_cost: int, blocks: int, runs: int) -> bytes:
    secret = password.encode()
    return hashlib.scrypt(secret, salt=salt, n=1 << log2_cost, r=blocks, p=runs, maxmem=_MEMORY_BYTES, dklen=_HASH_BYTES)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
