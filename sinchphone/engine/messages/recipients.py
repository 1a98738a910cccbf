"""To whom a message goes, read off a text as people write it, or off what the SDK takes: ``{"email": "ada@example.org"}``."""

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from sinchphone.errors import DestinationError
from sinchphone.protocol.names import is_email, is_user_id
from sinchphone.protocol.phone_numbers import looks_like_number, read_number
from sinchphone.signaling.dialect import IdentityKind, Recipient

OneRecipient: TypeAlias = str | Recipient | Mapping[str, str]
Recipients: TypeAlias = OneRecipient | Iterable[OneRecipient]


def read_recipients(recipients: Recipients) -> list[Recipient]:
    """One recipient or several. Raises DestinationError for what is none."""
    if isinstance(recipients, str | Recipient | Mapping) or not isinstance(recipients, Iterable):
        return [_recipient(recipients)]
    return [_recipient(one) for one in recipients]


def _recipient(one: object) -> Recipient:
    match one:
        case Recipient():
            return one
        case str():
            return read_recipient(one)
        case Mapping() if len(one) == 1:
            ((kind, identity),) = one.items()
            if kind in _KINDS and isinstance(identity, str):
                return _KINDS[kind](identity)
    known = ", ".join(f'{{"{kind}": …}}' for kind in _KINDS)
    raise DestinationError(f"{one!r} is no recipient", hint=f"a recipient is a text, a Recipient or one of {known}")


def read_recipient(text: str) -> Recipient:
    """``ada@example.org`` and ``mailto:…`` are e-mail addresses, ``+46…`` and ``tel:…`` phone numbers, everything else is a user id.
    Raises DestinationError."""
    written = text.strip()
    scheme, colon, rest = written.partition(":")
    if colon and scheme.lower() == "mailto":
        return _email(rest.partition("?")[0])
    if looks_like_number(written):
        return _number(written)
    if "@" in written:
        return _email(written)
    return _user(written)


def _user(name: str) -> Recipient:
    if not is_user_id(name):
        raise DestinationError(f'"{name}" is no user id', hint="a recipient is a user id, an e-mail address or +NUMBER")
    return Recipient(name)


def _email(address: str) -> Recipient:
    if not is_email(address):
        raise DestinationError(f'"{address}" is no e-mail address', hint="an e-mail address is name@host")
    return Recipient(address, IdentityKind.EMAIL)


def _number(written: str) -> Recipient:
    return Recipient(read_number(written), IdentityKind.NUMBER)


_KINDS: Final = {IdentityKind.USERNAME.value: _user, IdentityKind.EMAIL.value: _email, IdentityKind.NUMBER.value: _number}
