"""Our own side at its barest: the SIP user agent and plain RTP, without the gateway; a tone to say, an ear to hear with."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Frame, Samples
from sinchphone.audio.tones import goertzel
from sinchphone.errors import MediaError
from sinchphone.gateway.sip.agent import SipAgent
from sinchphone.gateway.sip.calls import (
    Refused,
    SipAnswered,
    SipCall,
    SipDigitHeard,
    SipEarly,
    SipEnded,
    SipEvent,
    SipReoffered,
    SipRinging,
    SipTarget,
)
from sinchphone.gateway.sip.network.resolve import Resolver
from sinchphone.gateway.sip.options import SipOptions
from sinchphone.gateway.sip.registrar import Registrar
from sinchphone.media import port as media_port
from sinchphone.media.port import RtpPassingPort, RtpPortOptions
from sinchphone.media.thread import MediaThread
from sinchphone.media.ticker import Ticker
from sinchphone.protocol.sdp.jsep import Description
from sinchphone.protocol.sip.uri import SipAddress, parse_uri
from sinchphone.tasks import start_task
from tests.instruments import dominant_hz
from tests.peers.peerkit.programs import HOST, PATIENCE_SECONDS
from tests.peers.peerkit.sound import ENOUGH
from tests.waiting import until, until_sound

CALLER = SipAddress(parse_uri(f"sip:us@{HOST}"), "The tests")
Kind = TypeVar("Kind")


class Mouth:
    """A party that says a tone and keeps what it hears."""

    def __init__(self, hz: float) -> None:
        self.hz = hz
        self.heard: list[Frame] = []
        self._said = 0

    def tick(self, far: Frame) -> Frame:
        self.heard.append(far.copy())
        at = np.arange(self._said, self._said + FRAME_SAMPLES) / RATE
        self._said += FRAME_SAMPLES
        return (8000 * np.sin(2 * np.pi * self.hz * at)).astype(np.int16)

    def last(self, seconds: float = 1.0) -> Samples:
        frames = self.heard[-round(seconds * RATE / FRAME_SAMPLES) :]
        return np.concatenate(frames) if frames else np.zeros(0, np.int16)

    async def hears(self, hz: float, seconds: float = PATIENCE_SECONDS) -> None:
        """Waits until a tenth of a second from now on is that tone and nothing else, and until more than a second of the call is over: its
        other side records what it hears."""
        try:
            async with asyncio.timeout(seconds):
                await until_sound(self.heard, lambda sound: goertzel.share(sound, hz) >= ENOUGH, len(self.heard))
                await until(lambda: len(self.heard) >= 55)
        except TimeoutError:
            raise AssertionError(f"heard {dominant_hz(self.last())} Hz instead of {hz}") from None

    async def hears_nothing(self, seconds: float = PATIENCE_SECONDS) -> None:
        async with asyncio.timeout(seconds):
            while not len(self.last(0.3)) or np.abs(self.last(0.3).astype(int)).max() > 30:
                await asyncio.sleep(0.05)


class OurCall:
    """One call of ours with its sound. Changes that the other side asks for are accepted."""

    def __init__(self, station: "Station", sip: SipCall | None, port: RtpPassingPort, hz: float) -> None:
        self.station = station
        self.port = port
        self.mouth = Mouth(hz)
        self.events: list[SipEvent] = []
        self.digits = ""
        self.lost = asyncio.Event()
        self.takes_changes = True
        self._sip = sip
        self._ticker = Ticker(self.mouth, station.media)
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def sip(self) -> SipCall:
        assert self._sip is not None
        return self._sip

    def start(self, sip: SipCall | None = None) -> None:
        self._sip = sip or self._sip
        self._tasks = [start_task(self._follow(), name="our call"), start_task(self._listen(), name="our port")]

    async def event(self, kind: type[Kind], seconds: float = PATIENCE_SECONDS) -> Kind:
        """The first event of that kind."""
        found: list[Kind] = []

        def happened() -> bool:
            found.extend(one for one in self.events if isinstance(one, kind))
            over = [one for one in self.events if isinstance(one, SipEnded | Refused)]
            assert found or not over, f"the call ended instead: {over}"
            return bool(found)

        await self.until(happened, seconds)
        return found[0]

    async def until(self, condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def hears_digits(self, digits: str) -> None:
        await self.until(lambda: self.digits == digits)

    async def ended(self, seconds: float = PATIENCE_SECONDS) -> SipEnded | Refused:
        await self.until(lambda: any(isinstance(one, SipEnded | Refused) for one in self.events), seconds)
        last = self.events[-1]
        assert isinstance(last, SipEnded | Refused)
        return last

    async def change(self, direction: str) -> None:
        """Offer a change of direction: hold, or resume."""
        offer = await self.port.reoffer(direction=direction)
        await self.port.accept(Description("answer", await self.sip.reoffer(offer.sdp)))

    async def hang_up(self) -> None:
        await self.sip.hang_up()
        await self.ended()

    async def connect(self) -> None:
        await self._ticker.connect(self.port.leg)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._ticker.close()
        await self.port.close()

    async def _follow(self) -> None:
        async for event in self.sip.events():
            await self._take(event)
            self.events.append(event)
            self._news.set()

    async def _take(self, event: SipEvent) -> None:
        match event:
            case SipEarly(sdp) | SipAnswered(sdp):
                await self.port.accept(Description("answer", sdp))
                await self._ticker.connect(self.port.leg, early=isinstance(event, SipEarly))
            case SipReoffered(sdp) if not self.takes_changes:
                await self.sip.refuse_reoffer(488)
            case SipReoffered(None):
                answer = await self.sip.answer_reoffer((await self.port.reoffer()).sdp, offered=False)
                await self.port.accept(Description("answer", answer or ""))
            case SipReoffered(sdp):
                try:
                    answer = (await self.port.reanswer(Description("offer", sdp or ""))).sdp
                except MediaError:
                    await self.sip.refuse_reoffer(488)
                else:
                    await self.sip.answer_reoffer(answer)
            case SipDigitHeard(digit):
                self.digits += digit

    async def _listen(self) -> None:
        async for event in self.port.events():
            if isinstance(event, media_port.PortDigitHeard):
                self.digits += event.digit
            elif isinstance(event, media_port.PortLost | media_port.PortSilent):
                self.lost.set()
            self._news.set()


class Station:
    """An agent whose incoming calls are answered (``answer``), or whatever a test puts in its place."""

    def __init__(
        self, media: MediaThread, options: SipOptions, registrar: Registrar | None, rtp: RtpPortOptions, resolver: Resolver | None
    ) -> None:
        self.media = media
        self.rtp = rtp
        self.registrar = registrar
        self.behave: Callable[[SipCall], Awaitable[None]] = self.answer
        self.agent = SipAgent(options, router=self._route, registrar=registrar, resolver=resolver)
        self.calls: list[OurCall] = []
        self.came: asyncio.Queue[OurCall] = asyncio.Queue()

    @property
    def at(self) -> str:
        return f"{HOST}:{self.agent.port}"

    def make(self, hz: float = 1000, sip: SipCall | None = None, **rtp: Any) -> OurCall:
        options = {name: getattr(self.rtp, name) for name in self.rtp.__slots__} | rtp
        call = OurCall(self, sip, self.media.rtp_ports.port(RtpPortOptions(**options)), hz)
        self.calls.append(call)
        return call

    async def call(
        self, uri: str, *, hz: float = 1000, srtp: bool = False, codecs: tuple[str, ...] | None = None, **invite: Any
    ) -> OurCall:
        """Call somebody and join the sound to whatever comes back."""
        call = self.make(hz, srtp=srtp, **({"codecs": codecs} if codecs else {}))  # type: ignore[arg-type]
        offer = await call.port.offer()
        call.start(self.agent.invite(SipTarget(parse_uri(uri)), caller=invite.pop("caller", CALLER), offer=offer.sdp, **invite))
        return call

    async def answer(self, sip: SipCall, *, ring: bool = True, early: bool = False, hz: float = 1000) -> None:
        """What becomes of an incoming call: it rings and is answered."""
        secure = sip.offer is not None and "RTP/SAVP" in sip.offer
        call = self.make(hz, sip, srtp=secure, signalled_from=sip.facts.source.host if sip.facts.source else None)
        if ring:
            await sip.ring()
        description = await (call.port.answer(Description("offer", sip.offer)) if sip.offer is not None else call.port.offer())
        if early:
            await sip.early(description.sdp)
        await sip.answer(description.sdp)
        call.start()
        if sip.offer is not None:
            await call.connect()
        self.came.put_nowait(call)

    async def next_call(self) -> OurCall:
        return await asyncio.wait_for(self.came.get(), PATIENCE_SECONDS)

    async def at_rest(self, seconds: float = PATIENCE_SECONDS) -> None:
        """Waits until no call and no transaction is open any more."""
        async with asyncio.timeout(seconds):
            while self.agent.open_calls or self.agent.open_transactions:
                await asyncio.sleep(0.05)

    async def close(self) -> None:
        await self.agent.close()
        for call in self.calls:
            await call.close()

    async def _route(self, sip: SipCall) -> None:
        await self.behave(sip)


def open_sockets() -> int:
    """How many sockets this process has."""
    found = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found += str(descriptor.readlink()).startswith("socket:")
    return found


@contextlib.asynccontextmanager
async def nothing_left(media: MediaThread) -> AsyncIterator[None]:
    """After the block there's no task and no socket that wasn't there before, here and in the media loop."""

    async def tasks() -> set[str]:
        return {task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()}

    async def more() -> tuple[int, set[str], set[str]]:
        return max(0, open_sockets() - sockets), await tasks() - here, await media.run(tasks()) - there

    sockets, here, there = open_sockets(), await tasks(), await media.run(tasks())
    yield
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_SECONDS):
            while any(await more()):  # some are closed at the loop's next turn
                await asyncio.sleep(0.02)
    assert not any(await more()), f"left behind: {await more()}"


@contextlib.asynccontextmanager
async def station(
    media: MediaThread,
    *,
    passwords: dict[str, str] | None = None,
    rtp: dict[str, Any] | None = None,
    resolver: Resolver | None = None,
    alone: bool = True,
    **options: Any,
) -> AsyncIterator[Station]:
    """An agent on a free port of loopback that takes calls from anybody, or with ``passwords`` from its users alone. What it leaves behind
    is looked for where it's ``alone``: others come and go meanwhile, where not."""
    registrar = Registrar(passwords) if passwords is not None else None
    async with nothing_left(media) if alone else contextlib.nullcontext():
        made = Station(media, SipOptions(port=0, open=passwords is None, **options), registrar, RtpPortOptions(**(rtp or {})), resolver)
        await made.agent.start()
        try:
            yield made
        finally:
            await made.close()


__all__ = ["CALLER", "Mouth", "OurCall", "Refused", "SipEnded", "SipRinging", "Station", "nothing_left", "open_sockets", "station"]
