"""Who may read and write which channel: whoever learns a channel's name has no right to it by that.

::

    channel                       read                     write
    a device's, for invitations   the device               the exchange
    a device's, for signaling     the device               the other ends of its calls, frames of these calls
    a call's own                  the exchange             the caller, frames of the call
    a user's, for messages        the user's devices       who shares a transport, in their own name
    any other                     anybody                  anybody
"""

from collections.abc import Iterable

from sinchphone.errors import RemoteProtocolError
from sinchphone.exchange.calls.parties import CallParties
from sinchphone.exchange.directory.devices import Device
from sinchphone.exchange.directory.directory import Directory, KeyHolder
from sinchphone.exchange.messages.senders import Senders
from sinchphone.exchange.messages.transports import Transports
from sinchphone.exchange.pubsub.broker import BrokerError, MessageTooLargeError
from sinchphone.exchange.pubsub.channels import is_derived_channel
from sinchphone.protocol.mxp.message import Fragment, parse_fragment
from sinchphone.quick_dataclass import quick_dataclass


class ForbiddenChannelError(BrokerError):
    """A channel that isn't theirs who want to read or write it, or a frame that isn't."""

    def __init__(self, channel: str) -> None:
        super().__init__("Forbidden")
        self.channel = channel


@quick_dataclass(frozen=True, slots=True)
class ChannelRights:
    """The rule above. ``now`` is wall clock time [s since the epoch]."""

    directory: Directory
    parties: CallParties
    transports: Transports
    senders: Senders

    def check_reader(self, holder: KeyHolder, channels: Iterable[str]) -> None:
        """Raises ForbiddenChannelError for the first channel that isn't the reader's."""
        for channel in channels:
            if is_derived_channel(channel) and not self._may_read(holder, channel):
                raise ForbiddenChannelError(channel)

    def frames(self, holder: KeyHolder, channel: str, payload: object, now: float) -> list[object]:
        """What goes out on the channel now that somebody publishes this: as a rule just that. Frames of an instant message wait for the
        whole of it. Raises ForbiddenChannelError, or MessageTooLargeError for a piece of one that nobody could put together."""
        if not is_derived_channel(channel):
            return [payload]
        try:
            fragment = parse_fragment(payload)
            if holder.device is None:
                raise ForbiddenChannelError(channel)
            reader = holder.application.transport_channels.get(channel)
            if reader is not None:
                return self._message(holder.device, channel, reader, fragment, str(payload), now)
        except RemoteProtocolError as error:
            raise ForbiddenChannelError(channel) from error
        session, instance = fragment.session_id, holder.device.instance_id
        if fragment.transport_id is not None or not self.parties.may_publish(holder.application.key, session, instance, channel, now):
            raise ForbiddenChannelError(channel)
        return [payload]

    def is_piece(self, holder: KeyHolder, channel: str, payload: object) -> bool:
        """Whether it's one of several frames of an instant message to a user."""
        if channel not in holder.application.transport_channels:
            return False
        try:
            return parse_fragment(payload).count > 1
        except RemoteProtocolError:
            return False

    def _may_read(self, holder: KeyHolder, channel: str) -> bool:
        device = holder.device
        if device is None:
            return False
        return self.directory.owner(channel) is device or holder.application.transport_channels.get(channel) == device.user_id

    def _message(self, sender: Device, channel: str, reader: str, fragment: Fragment, frame: str, now: float) -> list[object]:
        """Raises RemoteProtocolError, ForbiddenChannelError, MessageTooLargeError."""
        key = None
        if fragment.transport_id is not None:
            key = self.transports.key_among(sender.application, fragment.transport_id, {sender.user_id, reader})
        if key is None:
            raise ForbiddenChannelError(channel)
        if fragment.is_too_long:
            raise MessageTooLargeError("Message Too Large")
        return list(self.senders.take(sender, channel, fragment, frame, key, now))
