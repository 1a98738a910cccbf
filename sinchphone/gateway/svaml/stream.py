"""Streams a call's sound to a developer's WebSocket server and lets the caller hear what comes from there (Sinch Voice, connectStream).

::

    caller -> 48 kHz -> sample rate -> binary message of 20 ms -> server
    caller <- 48 kHz <- sample rate <- what the server has sent, at most 5 MB of it, the oldest gives way
"""

import asyncio
import threading
from typing import Final

import aiohttp
import numpy as np

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Frame, Samples, silence
from sinchphone.exchange.access.address_policy import AddressPolicy, AddressRefusedError
from sinchphone.gateway.call_facts import Failure
from sinchphone.gateway.callbacks.unreached import why_unreached
from sinchphone.gateway.legs.reasons import BUSY, DECLINED, NO_ANSWER, CallEnding, CallRefusedError
from sinchphone.gateway.routing.routing import ToStream
from sinchphone.media.local_audio.devices.rates import ConvertedSource, RateConverter
from sinchphone.protocol.callbacks.events import Reason
from sinchphone.protocol.callbacks.stream_messages import StreamCommand, read_command, write_connect
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.tls import client_context

CONNECT_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 60.0  # from our first message; callers over MXP give up after as long
SILENT_SECONDS: Final = 60.0  # Sinch Voice: neither sound nor a heartbeat
MAX_BUFFERED_BYTES: Final = 5_000_000  # Sinch Voice: what the caller hasn't heard yet
MAX_MESSAGE_BYTES: Final = 1_000_000
_SAMPLE_BYTES: Final = 2
_MAX_UNSENT: Final = 250  # messages of 20 ms
_TAIL_SECONDS: Final = 0.3  # on its way to the caller when the last is taken
_BROKEN: Final = Failure(503, "the stream's server has broken off the connection")
_SILENT: Final = Failure(408, f"neither sound nor a heartbeat came from the stream's server for {SILENT_SECONDS:.0f} s")


class StreamSound:
    """The server as whom the caller talks with (implements ``media.sound.Party``). ``tick`` is called in the media thread, the rest in
    the loop that it was made in."""

    def __init__(self, sample_rate: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._rate = sample_rate
        self._outgoing: asyncio.Queue[bytes] = asyncio.Queue(_MAX_UNSENT)
        self._down = RateConverter(RATE, sample_rate)
        self._up = ConvertedSource(self._take, sample_rate, RATE)
        self._unheard = bytearray()  # the last sample's other byte may be in the next message
        self._lock = threading.Lock()

    def tick(self, far: Frame) -> Frame:
        """What the caller says goes to the server; what the server has said comes back."""
        said = self._down.push(far).astype("<i2").tobytes()
        if said:
            self._loop.call_soon_threadsafe(self._say, said)
        return self._up.pull(FRAME_SAMPLES)

    async def next_message(self) -> bytes:
        """The next 20 ms for the server."""
        return await self._outgoing.get()

    def hear(self, content: bytes) -> None:
        """The server says something."""
        with self._lock:
            self._unheard += content
            excess = max(0, len(self._unheard) - MAX_BUFFERED_BYTES)
            del self._unheard[: excess + excess % _SAMPLE_BYTES]

    def clear(self) -> None:
        """The caller is to hear nothing of what was said so far."""
        with self._lock:
            del self._unheard[: self._whole_bytes]

    @property
    def unheard_seconds(self) -> float:
        """How much of what the server has said the caller was not given yet."""
        return self._whole_bytes / _SAMPLE_BYTES / self._rate

    @property
    def _whole_bytes(self) -> int:
        return len(self._unheard) // _SAMPLE_BYTES * _SAMPLE_BYTES

    def _say(self, said: bytes) -> None:
        if self._outgoing.full():
            self._outgoing.get_nowait()
        self._outgoing.put_nowait(said)

    def _take(self, samples: int) -> Samples:
        with self._lock:
            size = min(samples * _SAMPLE_BYTES, self._whole_bytes)
            said = np.frombuffer(bytes(self._unheard[:size]), "<i2").astype(np.int16)
            del self._unheard[:size]
        return np.concatenate([said, silence(samples - len(said))])


@quick_dataclass(frozen=True, slots=True)
class StreamedCall:
    """Which call is streamed: what the server is told of it."""

    id: str
    application: str


class CallStream:
    """One call's stream. ``open`` it first, ``close`` it last; cancelling is safe."""

    def __init__(self, addresses: AddressPolicy, call: StreamedCall, route: ToStream) -> None:
        """``addresses`` says where the server may be."""
        self.sound = StreamSound(route.sample_rate)
        self._addresses = addresses
        self._call = call
        self._route = route
        self._http: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None

    async def open(self) -> None:
        """Connect, and wait until the server answers. Raises CallRefusedError where it doesn't, with the reason for the caller."""
        self._http = self._addresses.session(auto_decompress=False)
        timeout = aiohttp.ClientWSTimeout(ws_close=1.0)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                self._socket = await self._http.ws_connect(
                    self._route.url, timeout=timeout, max_msg_size=MAX_MESSAGE_BYTES, compress=0, ssl=client_context()
                )
                first = write_connect(self._call.id, self._call.application, self._route.sample_rate, self._route.headers)
                await self._socket.send_str(first)
        except AddressRefusedError as error:
            raise CallRefusedError(Failure(403, f"the call can't be streamed: {error}")) from error
        except aiohttp.WSServerHandshakeError as error:
            raise CallRefusedError(Failure(503, f"the stream's server refuses the call: HTTP {error.status}")) from error
        except TimeoutError as error:
            raise CallRefusedError(Failure(503, f"the stream's server can't be reached within {CONNECT_SECONDS:.0f} s")) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            why = why_unreached(error, self._route.url.partition(":")[0].lower()).why
            raise CallRefusedError(Failure(503, f"the stream's server can't be reached: {why}")) from error
        await self._answered(self._socket)

    async def _answered(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        refusals = {StreamCommand.BUSY: BUSY, StreamCommand.REJECT: DECLINED}
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                async for message in socket:
                    command = read_command(message.data) if message.type is aiohttp.WSMsgType.TEXT else None
                    if command is StreamCommand.ANSWER:
                        return
                    if command in refusals:
                        raise CallRefusedError(refusals[command])
        except TimeoutError as error:
            raise CallRefusedError(NO_ANSWER) from error
        raise CallRefusedError(Failure(503, "the stream's server has closed the connection without an answer"))

    async def run(self) -> CallEnding:
        """Carry sound both ways until the server ends the call; how it did. What it has said last is heard to its end."""
        assert self._socket is not None, "it is opened first"
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(self._send(self._socket), name="stream out")
            try:
                async with asyncio.timeout(None) as patience:
                    ending = await self._receive(self._socket, patience)
            except TimeoutError:
                ending = CallEnding("called", _SILENT, Reason.TIMEOUT)
            finally:
                sending.cancel()
        return ending

    async def close(self) -> None:
        """Say goodbye. May be called twice."""
        socket, http, self._socket, self._http = self._socket, self._http, None, None
        try:
            if socket is not None:
                await socket.close()
        finally:
            if http is not None:
                await http.close()

    async def _receive(self, socket: aiohttp.ClientWebSocketResponse, patience: asyncio.Timeout) -> CallEnding:
        loop = asyncio.get_running_loop()
        patience.reschedule(loop.time() + SILENT_SECONDS)
        async for message in socket:
            patience.reschedule(loop.time() + SILENT_SECONDS)
            if message.type is aiohttp.WSMsgType.BINARY:
                self.sound.hear(message.data)
            elif message.type is aiohttp.WSMsgType.TEXT and read_command(message.data) is StreamCommand.CLEAR:
                self.sound.clear()
        patience.reschedule(None)
        if socket.close_code in (None, aiohttp.WSCloseCode.ABNORMAL_CLOSURE) or socket.exception() is not None:
            return CallEnding("called", _BROKEN, Reason.GENERAL_ERROR)
        await asyncio.sleep(self.sound.unheard_seconds + _TAIL_SECONDS)
        return CallEnding("called")

    async def _send(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while not socket.closed:
            said = await self.sound.next_message()
            try:
                await socket.send_bytes(said)
            except (aiohttp.ClientError, OSError):  # the end is seen where it's read
                return
