"""One call's MXP conversation: fragments in, messages out, and back.

::

    feed(fragment) -> reassembly -> seen before? -> key known? --no--> held until configure()
                                                       | yes
                                                       v
                                                    decrypt -> receive()
    send(message)  -> key known? (waits) -> encrypt -> frames -> publish to every channel
"""

import asyncio
import hashlib
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from sinchphone.errors import LocalProtocolError, NetworkError, RemoteProtocolError, SinchphoneError
from sinchphone.protocol.mxp.fragments import TAG_LIMIT
from sinchphone.protocol.mxp.message import Fragment, Message, Reassembler, check_key, decrypt, encrypt, split

MAX_HELD_MESSAGES = 64  # complete, but without a key yet: an ACK and its candidates, of several devices
MAX_HELD_BYTES = 1024 * 1024
MAX_WAITING_MESSAGES = 512  # readable, but not received yet
MAX_REMEMBERED = 2048  # payloads, to recognise those that come again


@dataclass(slots=True)
class ChannelCounters:
    """What has happened so far. What reassembly dropped is counted by its own counters."""

    received: int = 0
    sent: int = 0
    repeated: int = 0  # messages that came again
    unreadable: int = 0  # encrypted with another key, or no messages at all
    foreign: int = 0  # fragments of other sessions
    dropped: int = 0  # over a limit


class MxpChannel:
    """The conversation of one call (MXP session). ``publish`` takes a channel and a frame; ``now`` is a steady clock [s].

    All methods are for the loop's thread.
    """

    def __init__(
        self,
        session_id: str,
        publish: Callable[[str, str], Awaitable[object]],
        *,
        now: Callable[[], float],
        randbytes: Callable[[int], bytes],
    ) -> None:
        self._session_id = session_id
        self._publish = publish
        self._now = now
        self._randbytes = randbytes
        self._key: bytes | None = None
        self._configured = asyncio.Event()
        self._sending = asyncio.Lock()
        self._reassembler = Reassembler()
        self._seen: OrderedDict[bytes, None] = OrderedDict()
        self._held: deque[str] = deque()
        self._held_bytes = 0
        self._inbox: asyncio.Queue[Message] = asyncio.Queue(MAX_WAITING_MESSAGES)
        self.counters = ChannelCounters()

    @property
    def session_id(self) -> str:
        """The call's id."""
        return self._session_id

    def configure(self, key: bytes) -> None:
        """Set the session key, once. What came before is read now, and what waits to be sent goes out.

        Raises LocalProtocolError for a key that isn't one, or another one than before.
        """
        check_key(key)
        if self._key not in (None, key):
            raise LocalProtocolError("the session has another key already")
        self._key = key
        self._configured.set()
        while self._held:
            self._read(self._held.popleft(), key)
        self._held_bytes = 0

    def feed(self, fragment: Fragment) -> None:
        """Take a fragment from the network. Nothing is raised: what can't be used is counted."""
        if fragment.session_id != self._session_id or fragment.transport_id is not None:
            self.counters.foreign += 1
            return
        payload = self._reassembler.push(fragment, self._now())
        if payload is None:
            return
        if not self._is_new(payload):
            self.counters.repeated += 1
        elif self._key is not None:
            self._read(payload, self._key)
        else:
            self._hold(payload)

    async def send(self, message: Message, channels: Collection[str]) -> None:
        """Encrypt a message once and publish its frames to every channel, one message after the other in the order of the calls.

        Waits until the channel is configured. Where one channel refuses, the others still get the message; then the first error is
        raised, while NetworkError ends it at once, since the others wouldn't get it either. Cancelled, it may have been sent in part.
        """
        async with self._sending:
            await self._configured.wait()
            frames = self._frames(message)
            refusals = [error for channel in channels if (error := await self._publish_to(channel, frames)) is not None]
            if refusals:
                raise refusals[0]
            self.counters.sent += 1

    async def receive(self) -> Message:
        """The next message, each one once. Safe to cancel."""
        return await self._inbox.get()

    def _frames(self, message: Message) -> list[str]:
        if self._key is None:  # cannot be: send waits for it
            raise LocalProtocolError("the session has no key yet")
        payload = encrypt(message, self._key, self._randbytes(16))
        tag = int.from_bytes(self._randbytes(8), "big") % TAG_LIMIT
        return split(payload, self._session_id, str(tag))

    async def _publish_to(self, channel: str, frames: list[str]) -> SinchphoneError | None:
        try:
            for frame in frames:
                await self._publish(channel, frame)
        except NetworkError:
            raise
        except SinchphoneError as error:
            return error
        return None

    def _is_new(self, payload: str) -> bool:
        """Whether this payload is the first of its kind: each has an IV of its own, so equal ones are one message that came again."""
        digest = hashlib.blake2b(payload.encode(), digest_size=16).digest()
        if digest in self._seen:
            return False
        self._seen[digest] = None
        if len(self._seen) > MAX_REMEMBERED:
            self._seen.popitem(last=False)
        return True

    def _hold(self, payload: str) -> None:
        if len(self._held) >= MAX_HELD_MESSAGES or self._held_bytes + len(payload) > MAX_HELD_BYTES:
            self.counters.dropped += 1
            return
        self._held.append(payload)
        self._held_bytes += len(payload)

    def _read(self, payload: str, key: bytes) -> None:
        try:
            message = decrypt(payload, key)
        except RemoteProtocolError:
            self.counters.unreadable += 1
            return
        try:
            self._inbox.put_nowait(message)
            self.counters.received += 1
        except asyncio.QueueFull:
            self.counters.dropped += 1
