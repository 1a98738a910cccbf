"""Instant messages are their senders' own: frames are held until the message is whole, and passed on only if it's from whom it says.

All who take part in a transport share its key, and so could write in each other's names (MXP v10: no MAC, no signature). The broker
knows by its pub/sub keys who publishes, and by the directory the transport's key.
"""

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import Final

from sinchphone.errors import RemoteProtocolError
from sinchphone.exchange.directory.devices import Device
from sinchphone.protocol.mxp.fragments import Fragment, Reassembler
from sinchphone.protocol.mxp.message import Message, decrypt

MAX_SENDERS: Final = 1024  # of whom something unfinished is held


class ForgedMessageError(RemoteProtocolError):
    """A message that is not from whom it says, or none at all."""


@dataclass(slots=True)
class _Held:
    reassembler: Reassembler = field(default_factory=Reassembler)
    frames: OrderedDict[tuple[str, str], dict[int, str]] = field(default_factory=OrderedDict)

    def forget_given_up(self) -> None:
        """The reassembler lets go of the oldest message first."""
        while len(self.frames) > self.reassembler.pending_messages:
            self.frames.popitem(last=False)


class Senders:
    """What each device has published of messages that aren't whole yet. ``now`` is in seconds of any clock."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, _Held] = OrderedDict()

    def take(self, sender: Device, channel: str, fragment: Fragment, frame: str, key: bytes, now: float) -> list[str]:
        """Take a frame that a device publishes on a channel: the frames that go out now, none while some are missing.

        Raises ForgedMessageError for a message that isn't the sender's, RemoteProtocolError for what can't become one.
        """
        held = self._held.setdefault(sender.instance_id, _Held())
        self._held.move_to_end(sender.instance_id)
        if len(self._held) > MAX_SENDERS:
            self._held.popitem(last=False)
        own = replace(fragment, session_id=f"{channel} {fragment.session_id}")
        counters = held.reassembler.counters
        refused, repeated = counters.refused, counters.repeated
        payload = held.reassembler.push(own, now)
        if counters.refused > refused:
            raise RemoteProtocolError("a message of more or other frames than can be")
        if counters.repeated == repeated:
            held.frames.setdefault((own.session_id, own.tag), {})[fragment.index] = frame
        if payload is None:
            held.forget_given_up()
            return []
        frames = held.frames.pop((own.session_id, own.tag))
        _check_sender(_read(payload, key), sender)
        return [frames[index] for index in sorted(frames)]


def _read(payload: str, key: bytes) -> Message:
    try:
        return decrypt(payload, key)
    except RemoteProtocolError as error:
        raise ForgedMessageError(f"that is no message of this transport: {error}") from error


def _check_sender(message: Message, sender: Device) -> None:
    names = {sender.user_id, sender.user_id.encode().decode("latin-1")}  # SDK 1.4.12 reads its own ticket as Latin-1
    if message.sender.user_id not in names:
        raise ForgedMessageError("the message is not from who publishes it")
    if message.sender.channel not in ("", sender.application.transport_channel(sender.user_id)):
        raise ForgedMessageError("the message asks for receipts to somebody else")
