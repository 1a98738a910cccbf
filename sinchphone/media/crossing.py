"""Ports of the media loop, for other loops: each method runs over there, where the other half is made by the first that needs it."""

import asyncio
import importlib
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar, TypeVarTuple

from sinchphone.errors import LocalProtocolError, MediaError
from sinchphone.media.codecs.codec import CodecFormat, DecodedFrame, EncodedFrame
from sinchphone.media.legs.leg import PortLeg
from sinchphone.media.outbox import Outbox
from sinchphone.media.pictures.picture_leg import PictureLeg
from sinchphone.media.port import NOT_FORKED, PassingPort, PortEvent, PortOptions, PortStats, RtpPassingPort, RtpPortOptions
from sinchphone.media.sound import AudioLeg
from sinchphone.protocol.sdp.jsep import Candidate, Description
from sinchphone.tasks import start_task

if TYPE_CHECKING:
    from sinchphone.media.rtp.port import RtpPort
    from sinchphone.media.webrtc.port import WebRtcPort

WEBRTC_MODULE: Final = "sinchphone.media.webrtc.port"
IDENTITY_MODULE: Final = "sinchphone.media.webrtc.identity"
RTP_MODULE: Final = "sinchphone.media.rtp.port"

_imported: Final[set[str]] = set()  # in the media loop's thread only

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")
Inner = TypeVar("Inner", bound="WebRtcPort | RtpPort")


class MediaLoop(Protocol):
    """The loop over there (``media.thread.MediaThread``)."""

    async def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """What ``work`` returns or raises, run in the media loop. Cancelling it cancels ``work``."""

    def call_soon(self, function: Callable[[*Arguments], object], *arguments: *Arguments) -> None:
        """Call ``function`` in the media loop, soon. From any thread."""


class CrossingPorts:
    """Makes ports over WebRTC whose other half lives in the media thread."""

    def __init__(self, media: MediaLoop) -> None:
        self._media = media

    def port(self, options: PortOptions) -> PassingPort:
        """A new port. Costs nothing yet: the libraries are imported by its first method."""
        return _CrossingWebRtcPort(self._media, options)


class CrossingRtpPorts:
    """Makes ports over plain RTP whose other half lives in the media thread."""

    def __init__(self, media: MediaLoop) -> None:
        self._media = media

    def port(self, options: RtpPortOptions) -> RtpPassingPort:
        """A new port. Costs nothing yet."""
        return _CrossingRtpPort(self._media, options)


class _CrossingPort(Generic[Inner]):
    """What both kinds have in common."""

    def __init__(self, media: MediaLoop, make: Callable[[Outbox[PortEvent], PortLeg], Inner], module: str, port: Inner | None) -> None:
        self._media = media
        self._make = make
        self._module = module
        self._port = port
        self._events = Outbox[PortEvent]() if port is None else port.events()
        self._leg = PortLeg() if port is None else port.leg
        self._pictures = PictureLeg()
        self._sink: Callable[[EncodedFrame], object] | None = None
        self._candidates: deque[Candidate | None] = deque()  # on their way over,
        self._handing_over = 0  # and those that another way is taken for
        self._making = asyncio.Lock()  # used in the media loop only
        self._closed = False

    async def accept(self, answer: Description) -> None:
        await self._run(lambda port: port.accept(answer))

    async def answer(self, offer: Description, *, prefer: str | None = None) -> Description:
        return await self._run(lambda port: port.answer(offer, prefer=prefer))

    async def check(self, offer: Description) -> None:
        await self._run(lambda port: port.check(offer))

    async def add_candidate(self, candidate: Candidate | None) -> None:
        """Handed over, in order; what comes of it isn't waited for, and several are one wake-up of the other thread. A port that isn't made
        yet is made by the first."""
        if self._port is None or self._handing_over:
            self._handing_over += 1
            try:
                await self._run(lambda port: port.add_candidate(candidate))
            finally:
                self._handing_over -= 1
            return
        self._candidates.append(candidate)
        if len(self._candidates) == 1:
            self._media.call_soon(self._take_candidates)

    async def dtmf(self, digits: str) -> None:
        await self._run(lambda port: port.dtmf(digits))

    async def reoffer(self, *, direction: str = "sendrecv") -> Description:
        return await self._run(lambda port: port.reoffer(direction=direction))

    @property
    def direction(self) -> str:
        return "inactive" if self._port is None else self._port.direction

    async def stats(self) -> PortStats:
        return await self._run(lambda port: port.stats())

    def events(self) -> Outbox[PortEvent]:
        return self._events

    @property
    def leg(self) -> AudioLeg:
        return self._leg

    @property
    def pictures(self) -> PictureLeg:
        return self._pictures

    @property
    def codec(self) -> CodecFormat | None:
        return None if self._port is None else self._port.codec

    def divert(self, sink: Callable[[EncodedFrame], object] | None) -> None:
        with suppress(LocalProtocolError, RuntimeError):  # the thread was stopped: nothing comes any more
            self._media.call_soon(self._divert, sink)

    def takes(self, frame: EncodedFrame) -> bool:
        return self._port is None or self._port.takes(frame)

    def forward(self, frame: EncodedFrame) -> bool:
        return self._port is not None and self._port.forward(frame)

    def carry(self, heard: DecodedFrame) -> None:
        if self._port is not None:
            self._port.carry(heard)

    async def close(self) -> None:
        try:
            with suppress(LocalProtocolError, MediaError):  # the thread was stopped, maybe just now, and with it all that was in it
                await self._media.run(self._close())
        finally:
            self._events.end()

    async def _run(self, method: Callable[[Inner], Coroutine[Any, Any, Result]]) -> Result:
        return await self._media.run(self._call(method))

    async def _call(self, method: Callable[[Inner], Coroutine[Any, Any, Result]]) -> Result:
        return await method(await self._made())

    async def _made(self) -> Inner:
        async with self._making:
            if self._closed:
                raise MediaError("the port is closed")
            if self._port is None:
                if self._module not in _imported:
                    await asyncio.to_thread(importlib.import_module, self._module)
                    _imported.add(self._module)
                self._port = self._make(self._events, self._leg)
                self._port.divert(self._sink)
            return self._port

    def _take_candidates(self) -> None:
        while self._candidates and self._port is not None:
            start_task(self._port.add_candidate(self._candidates.popleft()), name="candidate")

    def _divert(self, sink: Callable[[EncodedFrame], object] | None) -> None:
        self._sink = sink
        if self._port is not None:
            self._port.divert(sink)

    async def _close(self) -> None:
        async with self._making:
            self._closed = True
        if self._port is not None:
            await self._port.close()
        self._events.end()


def _close_all(ports: "list[WebRtcPort]") -> None:
    for port in ports:
        start_task(port.close(), name="close-fork")


class _CrossingWebRtcPort(_CrossingPort["WebRtcPort"]):
    def __init__(self, media: MediaLoop, options: PortOptions, port: "WebRtcPort | None" = None) -> None:
        super().__init__(media, self._new, WEBRTC_MODULE, port)
        self._options = options
        if port is not None:
            self._pictures = port.pictures

    async def offer(self) -> Description:
        return await self._run(lambda port: port.offer())

    async def restart(self) -> Description:
        return await self._run(lambda port: port.restart())

    async def fork(self) -> PassingPort:
        forks: list[WebRtcPort] = []

        async def fork(port: "WebRtcPort") -> "WebRtcPort":
            forks.append(await port.fork())
            return forks[0]

        try:
            return _CrossingWebRtcPort(self._media, self._options, await self._run(fork))
        except asyncio.CancelledError:
            with suppress(LocalProtocolError, RuntimeError):  # the thread was stopped
                self._media.call_soon(_close_all, forks)  # one that was made already, and is nobody's
            raise

    def _new(self, events: Outbox[PortEvent], leg: PortLeg) -> "WebRtcPort":
        from sinchphone.media.webrtc.port import WebRtcPort

        return WebRtcPort(self._options, events=events, leg=leg, pictures=self._pictures)


class _CrossingRtpPort(_CrossingPort["RtpPort"]):
    def __init__(self, media: MediaLoop, options: RtpPortOptions) -> None:
        super().__init__(media, self._new, RTP_MODULE, None)
        self._options = options

    async def offer(self, *, direction: str = "sendrecv") -> Description:
        return await self._run(lambda port: port.offer(direction=direction))

    async def fork(self) -> RtpPassingPort:
        raise LocalProtocolError(NOT_FORKED)

    async def restart(self) -> Description:
        raise LocalProtocolError("a port over plain RTP has no ICE to restart: it offers again")

    async def withdraw(self) -> None:
        await self._run(lambda port: port.withdraw())

    async def trust_source(self, host: str) -> None:
        await self._run(lambda port: port.trust_source(host))

    async def reanswer(self, offer: Description, *, direction: str = "sendrecv", prefer: str | None = None) -> Description:
        return await self._run(lambda port: port.reanswer(offer, direction=direction, prefer=prefer))

    def _new(self, events: Outbox[PortEvent], leg: PortLeg) -> "RtpPort":
        from sinchphone.media.rtp.port import RtpPort

        return RtpPort(self._options, events=events, leg=leg)
