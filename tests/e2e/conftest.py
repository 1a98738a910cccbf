"""Phones and an exchange in one process, with sound that can be heard and measured."""

import asyncio
import socket
import wave
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Frame, Samples
from sinchphone.audio.tones import goertzel
from sinchphone.engine.calls.call import Call
from sinchphone.engine.calls.details import CallDetails
from sinchphone.engine.client import SinchClient
from sinchphone.engine.events.events import IncomingCall
from sinchphone.gateway.options import GatewayOptions, SipSettings
from sinchphone.gateway.sip import calls as sip
from sinchphone.gateway.sip.agent import SipAgent
from sinchphone.gateway.sip.calls import SipCall, SipTarget
from sinchphone.gateway.sip.options import SipOptions
from sinchphone.local import Local
from sinchphone.media import port as media_port
from sinchphone.media.port import RtpPassingPort, RtpPortOptions
from sinchphone.media.thread import MediaThread
from sinchphone.media.ticker import Ticker
from sinchphone.protocol.call.states import State
from sinchphone.protocol.sdp.jsep import Description
from sinchphone.protocol.sip.digest import Credentials
from sinchphone.protocol.sip.uri import parse_address, parse_uri
from sinchphone.tasks import start_task
from tests.waiting import until_sound

LIMIT_S = 20.0
CARRIER = "127.0.0.9"  # an address that nobody else here has


@dataclass
class Ear:
    """A party that says a tone (or nothing) and keeps what it hears."""

    tone_hz: float | None = None
    heard: list[Frame] = field(default_factory=list)
    said: int = 0

    def tick(self, far: Frame) -> Frame:
        self.heard.append(far.copy())
        at = np.arange(self.said, self.said + FRAME_SAMPLES) / RATE
        self.said += FRAME_SAMPLES
        if self.tone_hz is None:
            return np.zeros(FRAME_SAMPLES, np.int16)
        return (8000 * np.sin(2 * np.pi * self.tone_hz * at)).astype(np.int16)

    @property
    def all(self) -> Samples:
        return np.concatenate(self.heard) if self.heard else np.zeros(0, np.int16)

    def last(self, seconds: float) -> np.ndarray:
        frames = self.heard[-round(seconds * RATE / FRAME_SAMPLES) :]
        return np.concatenate(frames) if frames else np.zeros(0, np.int16)

    async def hears(self, hz: float, patience_s: float = 20.0) -> None:
        """Waits until it hears that tone and nothing else."""
        await self.becomes(lambda sound: goertzel.share(sound, hz) >= 0.95, patience_s)

    async def becomes(self, like: Callable[[Samples], bool], patience_s: float = 20.0, *, back_s: float = 0.0) -> None:
        """Waits until a moment of what is heard is like that, from ``back_s`` ago on."""
        async with asyncio.timeout(patience_s):
            await until_sound(self.heard, like, max(0, len(self.heard) - round(back_s * RATE / FRAME_SAMPLES)))

    def share(self, hz: float, seconds: float = 1.0) -> float:
        """The tone's share of the energy of the last ``seconds``."""
        return goertzel.share(self.last(seconds), hz)


@pytest.fixture
def media() -> Iterator[MediaThread]:
    with MediaThread() as thread:
        yield thread


@dataclass
class PhoneCall:
    """One call at a SIP phone: the SIP side, the sound, and what was told."""

    sip: SipCall
    port: RtpPassingPort
    events: list[Any] = field(default_factory=list)
    digits: list[str] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    patience_s: float = LIMIT_S

    async def until(self, kind: type[Any]) -> Any:
        async with asyncio.timeout(self.patience_s):
            while not (found := [event for event in self.events if isinstance(event, kind)]):
                assert not (self.events and isinstance(self.events[-1], sip.Refused | sip.SipEnded)), self.events
                self.changed.clear()
                await self.changed.wait()
        return found[-1]

    async def over(self) -> sip.Refused | sip.SipEnded:  # type: ignore[name-defined]
        async with asyncio.timeout(self.patience_s):
            while not (self.events and isinstance(self.events[-1], sip.Refused | sip.SipEnded)):
                self.changed.clear()
                await self.changed.wait()
        return self.events[-1]

    async def heard(self, digits: str) -> None:
        async with asyncio.timeout(self.patience_s):
            while "".join(self.digits) != digits:
                self.changed.clear()
                await self.changed.wait()


class SipPhone:
    """A SIP phone of the test: what it does with calls is the test's to say."""

    def __init__(
        self, media: MediaThread, stack: AsyncExitStack, ear: Callable[[float | None], Any], *, patience_s: float = LIMIT_S, **options: Any
    ) -> None:
        self.patience_s = patience_s
        self.agent = SipAgent(SipOptions(port=0, open=True, **options), router=self._called)
        self.incoming: asyncio.Queue[PhoneCall] = asyncio.Queue()
        self._media = media
        self._stack = stack
        self._ear = ear
        self._tasks: set[asyncio.Task[None]] = set()

    def address(self, user: str = "bob") -> str:
        return f"{user}@127.0.0.1:{self.agent.port}"

    async def next_call(self) -> PhoneCall:
        async with asyncio.timeout(self.patience_s):
            return await self.incoming.get()

    async def answer(self, call: PhoneCall, tone_hz: float | None = None) -> Any:
        assert call.sip.offer is not None
        answer = await call.port.answer(Description("offer", call.sip.offer))
        await call.sip.answer(answer.sdp)
        return await self.listen(call, tone_hz)

    async def listen(self, call: PhoneCall, tone_hz: float | None) -> Any:
        party, sound = self._ear(tone_hz)
        await sound.connect(call.port.leg)
        self._stack.push_async_callback(sound.close)
        return party

    async def dial(self, uri: str, caller: str = "sip:phone@127.0.0.1", password: str = "", **more: Any) -> PhoneCall:
        port = self._port()
        offer = await port.offer()
        address = parse_address(caller)
        credentials = Credentials(address.uri.user or "", password) if password else None
        made = self.agent.invite(SipTarget(parse_uri(uri)), caller=address, offer=offer.sdp, credentials=credentials, **more)
        return self._follow(made, port)

    def _port(self) -> RtpPassingPort:
        port = self._media.rtp_ports.port(RtpPortOptions(codecs=("PCMU", "PCMA")))
        self._stack.push_async_callback(port.close)
        return port

    async def _called(self, call: SipCall) -> None:
        self.incoming.put_nowait(self._follow(call, self._port()))

    def _follow(self, call: SipCall, port: RtpPassingPort) -> PhoneCall:
        found = PhoneCall(call, port, patience_s=self.patience_s)
        for work in (self._read(found), self._read_port(found)):
            task = start_task(work, name="work")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return found

    async def _read(self, call: PhoneCall) -> None:
        async for event in call.sip.events():
            if isinstance(event, sip.SipDigitHeard):
                call.digits.append(event.digit)
            elif isinstance(event, sip.SipAnswered) and call.sip.outbound:
                await call.port.accept(Description("answer", event.sdp))
            call.events.append(event)
            call.changed.set()

    async def _read_port(self, call: PhoneCall) -> None:
        async for event in call.port.events():
            if isinstance(event, media_port.PortDigitHeard):
                call.digits.append(event.digit)
                call.changed.set()


@dataclass
class Lines:
    """Opens phones; closes them at the end of the test."""

    local: Local
    media: MediaThread
    stack: AsyncExitStack

    async def phone(self, user: str, **options: Any) -> SinchClient:
        return await self.stack.enter_async_context(SinchClient(user, self.local, media=self.media, **options))

    async def sip_phone(self, **options: Any) -> SipPhone:
        phone = SipPhone(self.media, self.stack, self.ear, **options)
        await phone.agent.start()
        self.stack.push_async_callback(phone.agent.close)
        return phone

    def ear(self, tone_hz: float | None = None) -> tuple[Ear, Ticker]:
        party = Ear(tone_hz)
        return party, Ticker(party, self.media)


@dataclass
class SipExchange:
    """An exchange that speaks SIP, and phones that may register there: the user's name is the password."""

    lines: Lines
    local: Local

    @property
    def at(self) -> str:
        assert self.local.sip_address is not None
        return self.local.sip_address

    async def terminal(self, user: str, **options: Any) -> SinchClient:
        return await self.lines.phone(user, **options)

    async def phone(self, user: str | None = None, **options: Any) -> SipPhone:
        """One that is registered under that name."""
        phone = await self.lines.sip_phone(**options)
        if user is not None:
            await self.register(user, phone)
        return phone

    async def register(self, user: str, phone: SipPhone) -> None:
        registered = asyncio.Event()
        registration = phone.agent.registration(
            parse_uri(f"sip:{user}@{self.at}"), Credentials(user, user), registered=lambda hop: registered.set()
        )
        task = start_task(registration.run(), name="run")
        self.lines.stack.callback(task.cancel)
        async with asyncio.timeout(LIMIT_S):
            await registered.wait()

    async def dial(self, user: str, dialled: str, **more: Any) -> PhoneCall:
        """Somebody's SIP phone calls."""
        phone = await self.lines.sip_phone()
        return await phone.dial(f"sip:{dialled}@{self.at}", f"sip:{user}@127.0.0.1", user, **more)


class Steps:
    """What people do and wait for, with generous limits."""

    @staticmethod
    async def next_call(client: SinchClient, seconds: float = 20.0) -> Call:
        async with asyncio.timeout(seconds):
            async for event in client.events():
                if isinstance(event, IncomingCall):
                    return event.call
        raise AssertionError("the client failed")

    @staticmethod
    async def reach(call: Call, state: State, seconds: float = 20.0) -> None:
        async with asyncio.timeout(seconds):
            async for now in call.states():
                if now is state:
                    return
        raise AssertionError(f"the call ended instead: {call.details}")

    @staticmethod
    async def end_of(call: Call, seconds: float = 20.0) -> CallDetails:
        async with asyncio.timeout(seconds):
            return await call.ended()

    @classmethod
    async def talking(cls, lines: Lines) -> tuple[Call, Call]:
        alice, bob = await lines.phone("alice"), await lines.phone("bob")
        outgoing = await alice.call_user("bob")
        incoming = await cls.next_call(bob)
        await incoming.answer()
        await cls.reach(outgoing, State.ESTABLISHED)
        await cls.reach(incoming, State.ESTABLISHED)
        return outgoing, incoming

    @staticmethod
    def read_wav(path: Path) -> tuple[Samples, Samples]:
        with wave.open(str(path)) as file:
            assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (2, RATE, 2)
            both = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        return both[0::2], both[1::2]

    @staticmethod
    def clearest(samples: Samples, hz: float) -> float:
        """The tone's share in the second that has most of it: a busy machine may stall the sound for a moment."""
        length = RATE
        return max(goertzel.share(samples[at : at + length], hz) for at in range(0, max(1, len(samples) - length + 1), RATE // 10))


@pytest.fixture
def steps() -> type[Steps]:
    return Steps


@pytest.fixture
async def lines(local: Local, media: MediaThread) -> AsyncIterator[Lines]:
    async with AsyncExitStack() as stack:
        yield Lines(local, media, stack)


@pytest.fixture
async def carrier(lines: Lines, media: MediaThread) -> SipPhone:
    """Who answers at an address of its own: for trunks."""
    carrier = SipPhone(media, lines.stack, lines.ear, host=CARRIER)
    await carrier.agent.start()
    lines.stack.push_async_callback(carrier.agent.close)
    return carrier


@pytest.fixture
async def sip_exchange(tmp_path_factory: pytest.TempPathFactory, media: MediaThread, lines: Lines) -> Any:
    """Opens an exchange that speaks SIP; it is closed at the end of the test."""

    async def opened(*users: str, **gateway: Any) -> SipExchange:
        sip = SipSettings(users={user: user for user in users}, **gateway.pop("sip", {}))
        options = GatewayOptions(sip=sip, **gateway)
        local = Local(tmp_path_factory.mktemp("state"), port=0, media=media, gateway=options, sip_port=0)
        await lines.stack.enter_async_context(local)
        return SipExchange(Lines(local, media, lines.stack), local)

    return opened


@pytest.fixture
async def local(tmp_path_factory: pytest.TempPathFactory, media: MediaThread) -> AsyncIterator[Local]:
    async with Local(tmp_path_factory.mktemp("state"), port=0, media=media) as environment:
        yield environment


@pytest.fixture
def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
