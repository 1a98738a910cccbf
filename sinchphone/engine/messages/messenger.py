"""Instant messages: sends them and counts their receipts, takes what others write and acknowledges it once.

::

    send_message -> transport (REST) -> encrypt -> frames -> our channel, each recipient's channel      -> MessageSent
                                        receipts, one a recipient <- our channel                        -> MessageDelivered
    frames -> reassembly -> transport (REST, on first sight) -> decrypt -> seen before? -> MessageReceived -> receipt
"""

import asyncio
import contextlib
import logging
import os
import time
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Final, Protocol, TypeVar

from sinchphone.engine.events.events import (
    ClientEvent,
    ClientWarning,
    InstantMessage,
    MessageDelivered,
    MessageFailed,
    MessageReceived,
    MessageSent,
)
from sinchphone.engine.history.history import History
from sinchphone.engine.messages.sent import SentMessage
from sinchphone.errors import (
    AuthenticationError,
    ForbiddenError,
    MessageError,
    NetworkError,
    NotFoundError,
    PlatformError,
    RemoteProtocolError,
    SinchphoneError,
)
from sinchphone.protocol.mxp.fragments import MAX_PAYLOAD_BYTES, TAG_LIMIT, Fragment, Reassembler, split
from sinchphone.protocol.mxp.instant import Seen, is_receipt, is_text, read_text, write_receipt, write_text
from sinchphone.protocol.mxp.message import Client, Message, decrypt, encrypt
from sinchphone.signaling.dialect import Dialect, IdentityKind, MessageCounts, Recipient, Registration, Transport, TransportParticipant
from sinchphone.signaling.rest.transports import IM_CAPABILITIES, MAX_RECIPIENTS

MAX_TRANSPORTS: Final = 256  # remembered, by id and by recipients
MAX_MESSAGES_WAITING: Final = 1024  # messages that came and aren't read yet
MAX_SENT: Final = 1024  # whose receipts are waited for
REFUSAL_S: Final = 60.0  # for so long a transport that isn't ours isn't asked for again
MAX_KILOBYTES: Final = MAX_PAYLOAD_BYTES * 3 // 4 // 1000  # of a message: base64 takes 4 bytes for 3
RETRIES_S: Final = (0.2, 0.5, 1.0, 2.0, 4.0)  # a message that came isn't given up because the platform stumbles
REPORT_S: Final = 30.0  # PAPI v1, message report
CLOSE_S: Final = 1.0
_NOBODY_GOT_IT: Final = "nobody got the message"
OWN_DEVICES_S: Final = 4.0  # for our other devices to be told, before the recipients have their turn


_log = logging.getLogger(__name__)

T = TypeVar("T")


class RegisteredLine(Protocol):
    """What the messages need of the registered line."""

    registration: Registration
    dialect: Dialect

    async def publish_message(self, channel: str, text: str) -> None:
        """Publish one frame on the broadcast network."""

    async def confirm(self) -> Registration:
        """Register again where the platform has forgotten us."""


class Messenger:
    """The instant messages of one client. ``run`` reads what ``feed`` takes; ``undecodable`` counts what made no sense."""

    def __init__(self, line: RegisteredLine, user_id: str, *, tell: Callable[[ClientEvent], None], history: History | None = None) -> None:
        self._line = line
        self._user_id = user_id
        self._tell = tell
        self._history = history
        self._reassembler = Reassembler()
        self._inbox: asyncio.Queue[tuple[str, str, str | None]] = asyncio.Queue(MAX_MESSAGES_WAITING)  # None: too long to be put together
        self._early: dict[str, list[str]] = {}  # of messages that are being published: who has them already
        self._receipts: asyncio.Queue[tuple[str, Transport, str]] = asyncio.Queue(MAX_MESSAGES_WAITING)
        self._seen: Seen[tuple[str, str]] = Seen()
        self._too_long: Seen[tuple[str, str]] = Seen()
        self._sent: OrderedDict[str, SentMessage] = OrderedDict()
        self._transports: OrderedDict[str, Transport] = OrderedDict()
        self._opened: OrderedDict[tuple[Recipient, ...], Transport] = OrderedDict()
        self._refused: OrderedDict[str, float] = OrderedDict()
        self._sending = asyncio.Lock()
        self._counts = MessageCounts()
        self._reporting = asyncio.Lock()
        self.undecodable = 0

    # Out

    async def send(self, recipients: Sequence[Recipient], text: str, headers: Mapping[str, str]) -> SentMessage:
        """Send a text; returns when the platform has it for each recipient who didn't fail. Raises MessageError for what can't be
        sent, NotFoundError where a recipient is unknown (nobody gets it then), ForbiddenError where messages aren't possible, and
        the first error where it failed for everybody. Cancelled, some may have it."""
        message = write_text(self._me(), text, headers)
        chosen = self._checked(recipients)
        transport = await self._open(chosen)
        channels = {participant.channel: participant.recipient.identity for participant in transport.participants}
        written = InstantMessage(
            id=str(uuid.uuid4()),
            sender=self._user_id,
            recipients=tuple(channels.values()),
            text=text,
            headers=dict(headers),
            at=time.time(),
        )
        sent = self._expect(written, channels)
        if self._history is not None:
            await self._history.note_sent(self._device, written, channels)
        await self._publish(sent, message, chosen, transport)
        return sent

    def _checked(self, recipients: Sequence[Recipient]) -> tuple[Recipient, ...]:
        chosen = tuple(dict.fromkeys(recipients))
        if not chosen:
            raise MessageError("the message has no recipient")
        if len(chosen) > MAX_RECIPIENTS:
            raise MessageError(f"{len(chosen)} recipients are too many", hint=f"at most {MAX_RECIPIENTS}")
        if any(one.kind is IdentityKind.USERNAME and one.identity == self._user_id for one in chosen):
            raise MessageError("a message to oneself can't be sent", hint="your other devices see what you send to others")
        if self._channel is None or self._line.registration.pubsub.broadcast_publish_key is None:
            hint = 'Sinch\'s current API carries calls only: the older one (api = "papi") and the exchange of sinchphone have messages'
            raise ForbiddenError("this platform has no instant messages", hint=hint)
        return chosen

    async def _open(self, recipients: tuple[Recipient, ...], *, anew: bool = False) -> Transport:
        known = None if anew else self._opened.get(recipients)
        if known is not None:
            return known
        try:
            transport = await self._ask(lambda: self._line.dialect.open_transport(recipients))
        except ForbiddenError as error:
            error.hint = error.hint or _NOBODY_GOT_IT
            raise
        if any(participant.channel == self._channel for participant in transport.participants):
            raise MessageError("a message to oneself can't be sent", hint="one of the recipients is you")
        complete = _named(recipients, transport)
        _remember(self._opened, recipients, complete)
        return complete

    def _expect(self, written: InstantMessage, channels: Mapping[str, str]) -> SentMessage:
        """From now on: a receipt may be faster than the answer to the last publish."""
        sent = SentMessage(written, channels)
        _remember(self._sent, sent.id, sent, MAX_SENT)
        return sent

    async def _publish(self, sent: SentMessage, message: Message, recipients: tuple[Recipient, ...], transport: Transport) -> None:
        """Our own channel first, for our other devices, then each recipient's; every frame to each (PAPI v1, instant message)."""
        self._early[sent.id] = []
        try:
            await self._publish_to_all(sent, message, recipients, transport)
            self._tell(MessageSent(message=sent.message))
            for name in self._early[sent.id]:
                self._tell(MessageDelivered(message_id=sent.id, recipient=name))
        finally:
            del self._early[sent.id]

    async def _publish_to_all(self, sent: SentMessage, message: Message, recipients: tuple[Recipient, ...], transport: Transport) -> None:
        async with self._sending:
            down: SinchphoneError | None = None
            frames = _sealed(message, sent.id, transport)
            try:
                if not await self._may_publish(frames):  # a platform that was reset, say, has forgotten it
                    transport = await self._open(recipients, anew=True)
                    frames = _sealed(message, sent.id, transport)
                    await self._may_publish(frames)
            except SinchphoneError as error:
                down = error
            for participant in transport.participants:
                try:
                    if down is not None:
                        raise down
                    await self._publish_frames(participant.channel, frames)
                except SinchphoneError as error:
                    down = error if error is down or _is_for_all(error) else None
                    await self._fail(sent, participant.recipient.identity, error)
        if len(sent.failed) == len(sent.recipients):
            raise next(iter(sent.failed.values()))
        self._count(sent=1)

    async def _may_publish(self, frames: Sequence[str]) -> bool:
        """Tell our other devices; False where the platform takes nothing by that transport. Other failures are the worse for them alone."""
        with contextlib.suppress(PlatformError, NetworkError, TimeoutError):
            async with asyncio.timeout(OWN_DEVICES_S):
                try:
                    await self._publish_frames(self._channel or "", frames)
                except ForbiddenError:
                    return False
        return True

    async def _publish_frames(self, channel: str, frames: Sequence[str]) -> None:
        for frame in frames:
            await self._line.publish_message(channel, frame)

    async def _fail(self, sent: SentMessage, recipient: str, error: SinchphoneError) -> None:
        sent.fail(recipient, error)
        self._count(failed=1)
        self._tell(MessageFailed(message_id=sent.id, recipient=recipient, error=error))
        if self._history is not None:
            await self._history.note_failed(self._device, sent.id, recipient, str(error))

    # In

    def feed(self, fragment: Fragment, now: float) -> None:
        """Take a frame that belongs to a transport. Nothing is raised: what can't be used is counted."""
        if fragment.transport_id is None:
            self.undecodable += 1
            return
        key = f"{fragment.transport_id} {fragment.session_id}"  # frames of another transport are no pieces of this message
        payload = None
        if fragment.is_too_long:
            if not self._too_long.is_new((fragment.transport_id, fragment.session_id)):
                return
        elif (payload := self._reassembler.push(replace(fragment, session_id=key), now)) is None:
            return
        try:
            self._inbox.put_nowait((fragment.session_id, fragment.transport_id, payload))
        except asyncio.QueueFull:
            self.undecodable += 1

    async def run(self) -> None:
        """Read what comes, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._report_regularly(), name="message report")
            group.create_task(self._acknowledge_in_turn(), name="receipts")
            while True:
                message_id, transport_id, payload = await self._inbox.get()
                try:
                    if payload is None:
                        await self._warn_of_length(transport_id)
                    else:
                        await self._read(message_id, transport_id, payload)
                except RemoteProtocolError:
                    self.undecodable += 1
                except SinchphoneError as error:
                    _log.warning("a message was lost: %s", error)

    async def close(self) -> None:
        """Send the last receipts and deliver the last counts, briefly. ``run`` still runs."""
        with contextlib.suppress(SinchphoneError, TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self._receipts.join()
                await self._report()

    async def _read(self, message_id: str, transport_id: str, payload: str) -> None:
        transport = await self._transport(transport_id)
        message = decrypt(payload, transport.key)
        sender = _sender_of(message, transport)
        if is_receipt(message):
            await self._take_receipt(message_id, sender)
        elif is_text(message):
            await self._take_text(message_id, transport, sender, message)
        else:
            raise RemoteProtocolError("neither a text nor a receipt")

    async def _warn_of_length(self, transport_id: str) -> None:
        """Somebody wrote more than fits, and has no receipt: they may believe that we have it."""
        transport = await self._transport(transport_id)
        others = ", ".join(one.recipient.identity for one in transport.participants if one.channel != self._channel)
        self._tell(
            ClientWarning(
                message=f"a message between {others} and you was too long to be taken", hint=f"at most {MAX_KILOBYTES} kB can be read"
            )
        )

    async def _take_receipt(self, message_id: str, sender: TransportParticipant) -> None:
        if sender.channel == self._channel:
            return  # another device of ours acknowledges what somebody wrote to us
        sent = self._sent.get(message_id)
        name = sent.acknowledge(sender.channel) if sent is not None else None
        if name is not None:  # told at once: whoever waits for the receipt finds the event there
            early = self._early.get(message_id)
            if early is not None:  # it was sent before it was delivered, and that is told first
                early.append(name)
            else:
                self._tell(MessageDelivered(message_id=message_id, recipient=name))
        noted = await self._history.note_delivered(self._device, message_id, sender.channel) if self._history is not None else None
        if sent is None and noted is not None:  # sent in an earlier run, or by another device of ours
            self._tell(MessageDelivered(message_id=message_id, recipient=noted))

    async def _take_text(self, message_id: str, transport: Transport, sender: TransportParticipant, message: Message) -> None:
        text = read_text(message)
        if message_id in self._sent or not self._seen.is_new((transport.id, message_id)):
            return
        others = [one for one in transport.participants if one is not sender]
        name = self._user_id if sender.channel == self._channel else sender.recipient.identity
        recipients = tuple(one.recipient.identity for one in others)
        written = InstantMessage(id=message_id, sender=name, recipients=recipients, text=text.text, headers=text.headers, at=time.time())
        if sender.channel == self._channel:
            await self._take_own(written, {one.channel: one.recipient.identity for one in others})
        elif self._history is None or await self._history.note_received(self._device, written):
            self._count(received=1)
            self._tell(MessageReceived(message=written))
            await self._receipts.put((message_id, transport, sender.channel))

    async def _take_own(self, written: InstantMessage, channels: Mapping[str, str]) -> None:
        """Another device of ours sent that."""
        if self._history is None or await self._history.note_sent(self._device, written, channels):
            self._tell(MessageSent(message=written, elsewhere=True))

    async def _acknowledge_in_turn(self) -> None:
        """Each text once, however long that takes while the network is away. The receipt goes to the channel that the platform
        names, not to one that a message does."""
        while True:
            message_id, transport, channel = await self._receipts.get()
            frames = _sealed(write_receipt(self._me()), message_id, transport)
            try:
                await self._patiently(partial(self._publish_frames, channel, frames))
            except SinchphoneError as error:
                _log.warning("a message couldn't be acknowledged: %s", error)
            finally:
                self._receipts.task_done()

    async def _transport(self, transport_id: str) -> Transport:
        """A transport that we take part in, asked for on first sight. Raises RemoteProtocolError where it's none of ours."""
        known = self._transports.get(transport_id)
        if known is not None:
            return known
        now = asyncio.get_running_loop().time()
        if self._refused.get(transport_id, -REFUSAL_S) + REFUSAL_S > now:
            raise RemoteProtocolError("a transport of others")
        try:
            transport = await self._patiently(lambda: self._line.dialect.transport(transport_id))
        except (NotFoundError, ForbiddenError) as error:
            _remember(self._refused, transport_id, now)
            raise RemoteProtocolError("a transport of others") from error
        if transport.id != transport_id:
            raise RemoteProtocolError("another transport than was asked for")
        _remember(self._transports, transport_id, transport)
        return transport

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        for wait_s in RETRIES_S:
            try:
                return await self._ask(ask)
            except (NetworkError, PlatformError) as error:
                if isinstance(error, PlatformError) and error.status is not None and 400 <= error.status < 500 and error.status != 429:
                    raise
            await asyncio.sleep(wait_s)
        return await self._ask(ask)

    async def _ask(self, ask: Callable[[], Awaitable[T]]) -> T:
        try:
            return await ask()
        except AuthenticationError:  # a platform that has forgotten us since: once more, known again
            await self._line.confirm()
            return await ask()

    # Common

    @property
    def _channel(self) -> str | None:
        """Our channel, common to all our devices."""
        return self._line.registration.profile.transport_channel

    @property
    def _device(self) -> str:
        return self._line.registration.instance.device_id

    def _me(self) -> Client:
        registration = self._line.registration
        return Client(self._user_id, registration.address, self._channel or "", device=registration.instance.id)

    def _count(self, *, sent: int = 0, received: int = 0, failed: int = 0) -> None:
        counts = self._counts
        self._counts = MessageCounts(counts.sent + sent, counts.received + received, counts.failed + failed)

    async def _report_regularly(self) -> None:
        while True:
            await asyncio.sleep(REPORT_S)
            with contextlib.suppress(SinchphoneError):
                await self._report()

    async def _report(self) -> None:
        async with self._reporting:  # nothing is told twice
            counts = self._counts
            if counts == MessageCounts():
                return
            await self._line.dialect.report_messages(counts)
            self._count(sent=-counts.sent, received=-counts.received, failed=-counts.failed)  # what came meanwhile is still to be told


Value = TypeVar("Value")
Key = TypeVar("Key")


def _is_for_all(error: SinchphoneError) -> bool:
    """Whether no other recipient has to be tried after that."""
    return isinstance(error, NetworkError) or (isinstance(error, PlatformError) and error.status == HTTPStatus.SERVICE_UNAVAILABLE)


def _remember(known: "OrderedDict[Key, Value]", key: Key, value: Value, limit: int = MAX_TRANSPORTS) -> None:
    known[key] = value
    while len(known) > limit:
        known.popitem(last=False)


def _sealed(message: Message, message_id: str, transport: Transport) -> list[str]:
    """The frames of an encrypted message."""
    payload = encrypt(message, transport.key, os.urandom(16))
    tag = int.from_bytes(os.urandom(8), "big") % TAG_LIMIT
    return split(payload, message_id, str(tag), transport.id)


def _sender_of(message: Message, transport: Transport) -> TransportParticipant:
    """Who sent a message: whoever's channel it names, as the platform knows it. Raises RemoteProtocolError for a stranger."""
    for participant in transport.participants:
        if participant.channel == message.sender.channel:
            recipient = participant.recipient
            if recipient.kind is IdentityKind.USERNAME and message.sender.user_id not in ("", recipient.identity):
                raise RemoteProtocolError("the sender gives another name than the platform")
            return participant
    raise RemoteProtocolError("the sender takes no part in the transport")


def _named(recipients: Sequence[Recipient], transport: Transport) -> Transport:
    """The transport with its participants named as we named them: they come in that order. Raises NotFoundError where somebody was
    left out, ForbiddenError where somebody's devices take no messages."""
    found = {participant.recipient for participant in transport.participants}
    if len(transport.participants) != len(recipients):
        names = ", ".join(recipient.identity for recipient in recipients if recipient not in found) or "one of the recipients"
        raise NotFoundError(f"nobody is called {names}", hint="check the spelling; nobody got the message")
    for participant in transport.participants:
        capabilities = {one for instance in participant.instances for one in instance.capabilities}
        if participant.instances and not capabilities.intersection(IM_CAPABILITIES):
            raise ForbiddenError(f"no device of {participant.recipient.identity} takes messages", hint=_NOBODY_GOT_IT)
    if found == set(recipients):
        return transport
    named = (replace(participant, recipient=recipient) for participant, recipient in zip(transport.participants, recipients, strict=True))
    return replace(transport, participants=tuple(named))
