"""Instant messages: texts and receipts as MXP messages, and who has acknowledged what.

::

    write_text -> Message INVITE/msg -> transport key -> frames with the transport's id -> read_text
    write_receipt -> Message ACK/msg, the session id of the text -> Tally.acknowledge
"""

import json
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import field
from typing import Final, Generic, TypeVar

from sinchphone.errors import MessageError, RemoteProtocolError
from sinchphone.protocol.mxp.message import MAX_PAYLOAD_BYTES, BodyType, Client, Message, Method
from sinchphone.protocol.mxp.public_headers import check_public_headers, decode_public_headers, encode_public_headers
from sinchphone.quick_dataclass import quick_dataclass

# Every character may have to be escaped twice (\\u0001 within JSON within JSON, 7 bytes) and base64 takes 4 bytes for 3: a text of
# this size fits into an MXP payload, whatever is in it.
MAX_TEXT_BYTES: Final = 24 * 1024  # in UTF-8
MAX_SEEN: Final = 4096

Key = TypeVar("Key", bound=Hashable)


@quick_dataclass(frozen=True, slots=True)
class Text:
    """What somebody wrote. It comes from the other side: escape it before it's shown."""

    text: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def check_text(text: str) -> None:
    """Raises MessageError for an empty text, and for one of more than ``MAX_TEXT_BYTES``."""
    if not text:
        raise MessageError("the message is empty")
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise MessageError("the message has half a character in it (a lone surrogate)") from error
    if size > MAX_TEXT_BYTES:
        raise MessageError(f"a message of {size} bytes is too long", hint=f"at most {MAX_TEXT_BYTES} bytes in UTF-8")


def write_text(sender: Client, text: str, headers: Mapping[str, str]) -> Message:
    """The message that carries a text (MXP v10, ``1_msg``). Raises MessageError for an empty text, or one of more than
    ``MAX_TEXT_BYTES``, LocalProtocolError for headers that are too long."""
    check_text(text)
    check_public_headers(headers, "message")
    body = json.dumps({"t": text}, ensure_ascii=False, separators=(",", ":"))
    return Message(Method.INVITE, sender, BodyType.TEXT, body, encode_public_headers(headers))


def write_receipt(sender: Client) -> Message:
    """The message that acknowledges a text (MXP v10, ``2_msg``); it goes out under the text's session id."""
    return Message(Method.ACK, sender, BodyType.TEXT)


def is_text(message: Message) -> bool:
    """Whether the message carries a text."""
    return message.method is Method.INVITE and message.body_type == BodyType.TEXT


def is_receipt(message: Message) -> bool:
    """Whether the message acknowledges a text."""
    return message.method is Method.ACK and message.body_type == BodyType.TEXT


def read_text(message: Message) -> Text:
    """The text that a message carries. Raises RemoteProtocolError."""
    if len(message.body) > MAX_PAYLOAD_BYTES:
        raise RemoteProtocolError("the text is too long")
    try:
        body = json.loads(message.body)
    except (ValueError, RecursionError) as error:
        raise RemoteProtocolError("the text is not in JSON") from error
    text = body.get("t") if isinstance(body, dict) else None
    if not isinstance(text, str):
        raise RemoteProtocolError("the message has no text")
    return Text(text.encode(errors="replace").decode(), decode_public_headers(message.headers))


class Tally:
    """Which recipients have acknowledged a message; each one once, whatever the number of their devices and of repetitions."""

    def __init__(self, channels: Mapping[str, str]) -> None:
        """``channels``: each recipient's channel and their name. A channel is one user."""
        self._waiting = dict(channels)

    @property
    def waiting(self) -> tuple[str, ...]:
        """Those who haven't, by name."""
        return tuple(self._waiting.values())

    def acknowledge(self, channel: str) -> str | None:
        """A receipt from the user of that channel: their name, ``None`` where they've acknowledged already or are no recipient."""
        return self._waiting.pop(channel, None)

    def give_up(self, name: str) -> None:
        """Nothing reached that recipient."""
        self._waiting = {channel: waiting for channel, waiting in self._waiting.items() if waiting != name}


class Seen(Generic[Key]):
    """What was there already, as far as memory goes."""

    def __init__(self, limit: int = MAX_SEEN) -> None:
        self._limit = limit
        self._keys: OrderedDict[Key, None] = OrderedDict()

    def is_new(self, key: Key) -> bool:
        """Whether that comes for the first time; from now on it doesn't."""
        if key in self._keys:
            self._keys.move_to_end(key)
            return False
        self._keys[key] = None
        if len(self._keys) > self._limit:
            self._keys.popitem(last=False)
        return True
