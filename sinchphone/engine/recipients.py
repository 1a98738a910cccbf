"""To whom a message goes, read off a text as people write it."""

import re
from typing import Final

from sinchphone.errors import DestinationError
from sinchphone.protocol.phone_numbers import looks_like_number, read_number
from sinchphone.protocol.user_id import is_user_id
from sinchphone.signaling.dialect import IdentityKind, Recipient

_EMAIL: Final = re.compile(r"[^\s@]{1,64}@[^\s@]{1,190}")


def read_recipient(text: str) -> Recipient:
    """``ada@example.org`` and ``mailto:…`` are e-mail addresses, ``+46…`` and ``tel:…`` phone numbers, everything else is a user id.
    Raises DestinationError."""
    written = text.strip()
    scheme, colon, rest = written.partition(":")
    if colon and scheme.lower() == "mailto":
        return _email(rest.partition("?")[0])
    if looks_like_number(written):
        return Recipient(read_number(written), IdentityKind.NUMBER)
    if "@" in written:
        return _email(written)
    if not is_user_id(written):
        raise DestinationError(f'"{text}" is no user id', hint="a recipient is a user id, an e-mail address or +NUMBER")
    return Recipient(written)


def _email(address: str) -> Recipient:
    if not _EMAIL.fullmatch(address) or not address.isprintable():
        raise DestinationError(f'"{address}" is no e-mail address')
    return Recipient(address, IdentityKind.EMAIL)
