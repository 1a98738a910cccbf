"""Reads the answers of a PubNub-compatible broker (PubNub REST: subscribe v2, publish, time); pure."""

import hashlib
import json
import re
from collections import OrderedDict
from dataclasses import field

from sinchphone.errors import RemoteProtocolError
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.fields import Record

MAX_MESSAGES = 10_000  # in one answer; a subscriber's queue at PubNub keeps 100
MAX_REFUSAL_CHARACTERS = 200

_REMEMBERED = 2_000  # messages, to know those that come again
_TIMETOKEN = re.compile("[0-9]{1,20}")  # 17 digits: units of 100 ns since 1970
_POSITION = re.compile(rb'\s*\{\s*"t"\s*:\s*\{\s*"t"\s*:\s*"([0-9]{1,20})"')


@quick_dataclass(frozen=True, slots=True)
class BrokerMessage:
    """One message of an answer; ``timetoken`` (when it was published) is empty where the broker doesn't say."""

    channel: str
    payload: object = field(repr=False)
    timetoken: str
    digest: bytes = field(repr=False)  # tells it from others


@quick_dataclass(frozen=True, slots=True)
class SubscribeAnswer:
    """Where to go on from, and the messages; ``ignored`` counts what was no readable message."""

    timetoken: str
    region: int | None
    messages: tuple[BrokerMessage, ...]
    ignored: int


def read_subscribe_answer(body: bytes) -> SubscribeAnswer:
    """The answer to a subscribe. Raises RemoteProtocolError where it's not one; odd messages inside are only counted."""
    record = Record.parse(body)
    position, messages = record.record("t"), record.value("m")
    if not isinstance(messages, list) or len(messages) > MAX_MESSAGES:
        raise record.odd("m", "a list of messages")
    readable = [message for message in map(_message_from, messages) if message is not None]
    region = int(position.number("r", high=2**31)) if position.has("r") else None
    return SubscribeAnswer(_timetoken(position), region, tuple(readable), len(messages) - len(readable))


def skip_past(body: bytes) -> SubscribeAnswer | None:
    """An empty answer that goes on behind one that can't be read (too long, too deep, or with a number that's too long), if that
    begins as an answer to a subscribe does: else one poisonous message would end a subscription."""
    match = _POSITION.match(body)
    return SubscribeAnswer(match[1].decode(), None, (), 1) if match else None


def read_publish_answer(body: bytes) -> str:
    """The timetoken in an answer ``[1, "Sent", timetoken]``. Raises RemoteProtocolError with the broker's words for others."""
    values = _list(body)
    if not values or values[0] != 1:
        raise RemoteProtocolError(read_refusal(body) or "it did not say that the message was sent")
    return str(values[2]) if len(values) > 2 and _TIMETOKEN.fullmatch(str(values[2])) else ""


def read_time_answer(body: bytes) -> int:
    """The timetoken in an answer ``[timetoken]``. Raises RemoteProtocolError."""
    values = _list(body)
    if len(values) != 1 or not _TIMETOKEN.fullmatch(str(values[0])):
        raise RemoteProtocolError("the answer should be a list of one timetoken")
    return int(str(values[0]))


def read_refusal(body: bytes) -> str:
    """The broker's words in ``[0, words, timetoken]`` or ``{"message": words}``; empty where there are none. Raises nothing."""
    try:
        value = json.loads(body[:65_536])
    except (ValueError, RecursionError):
        return ""
    words = value.get("message") if isinstance(value, dict) else value[1] if isinstance(value, list) and len(value) > 1 else None
    return words[:MAX_REFUSAL_CHARACTERS] if isinstance(words, str) else ""


class RecentMessages:
    """Recognises messages that come again: a broker may repeat after a cut connection. Remembers the last of them."""

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def is_new(self, message: BrokerMessage) -> bool:
        """Whether this message, by channel, timetoken and content, has not been seen; it's remembered now. A message without a
        timetoken is always new: two may well be equal."""
        if not message.timetoken:
            return True
        if message.digest in self._seen:
            self._seen.move_to_end(message.digest)
            return False
        self._seen[message.digest] = None
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return True


def _message_from(value: object) -> BrokerMessage | None:
    """A message; None for signals, presence, files and whatever isn't readable."""
    try:
        record = Record(value)
        if record.value("e") not in (None, 0) or not isinstance(value, dict) or "d" not in value:
            return None
        published = record.optional_record("p")
        channel, payload = record.channel("c"), record.value("d")
        timetoken = _timetoken(published) if published.has("t") else ""
        identity = json.dumps([channel, timetoken, payload], sort_keys=True).encode()
    except (RemoteProtocolError, RecursionError):
        return None
    return BrokerMessage(channel, payload, timetoken, hashlib.blake2b(identity, digest_size=16).digest())


def _timetoken(record: Record) -> str:
    text = str(record.value("t"))
    if isinstance(record.value("t"), bool) or not _TIMETOKEN.fullmatch(text):
        raise record.odd("t", "a timetoken")
    return text


def _list(body: bytes) -> list[object]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RemoteProtocolError("the answer should be JSON, but isn't") from error
    if not isinstance(value, list):
        raise RemoteProtocolError("the answer should be a list")
    return value
