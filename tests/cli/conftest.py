"""A platform made of nothing: clients and calls that follow a script, for commands run in this process."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import pytest
from jsonschema import Draft202012Validator

from sinchphone.cli.calling import managed_exchange, phone  # noqa: F401  # the former takes names of the latter before tests play others
from sinchphone.cli.command_line import command_line
from sinchphone.cli.control.schema import schema_text
from sinchphone.engine import client as engine_client
from sinchphone.engine.calls.call import DigitsSent
from sinchphone.engine.calls.details import CallDetails
from sinchphone.engine.calls.hold import Held, Resumed
from sinchphone.engine.events.events import (
    ClientEvent,
    IncomingCall,
    InstantMessage,
    MessageDelivered,
    MessageFailed,
    MessageReceived,
    MessageSent,
    Ready,
)
from sinchphone.engine.messages.sent import SentMessage
from sinchphone.errors import SinchphoneError
from sinchphone.media.local_audio.devices import sound_cards as devices
from sinchphone.media.outbox import Outbox
from sinchphone.media.port import PortStats
from sinchphone.media.sound import Levels, RecordFinished, Signal, SoundEvent
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.call.states import Cause, State
from sinchphone.protocol.mxp.message import CallFailure
from sinchphone.signaling.dialect import Domain
from sinchphone.tasks import start_task

SCHEMA = Draft202012Validator(json.loads(schema_text()))


class FakeSound:
    def __init__(self) -> None:
        self.outbox: Outbox[SoundEvent] = Outbox()
        self.signals: list[Signal | None] = []

    def events(self) -> AsyncIterator[SoundEvent]:
        return self.outbox

    def levels(self) -> Levels:
        return Levels(near_dbfs=float("-inf"), far_dbfs=-20.0)

    async def signal(self, signal: Signal | None) -> bool:
        self.signals.append(signal)
        return True

    def mute(self, muted: bool) -> None:
        pass


class FakeCall:
    """Goes where its script takes it."""

    def __init__(self, peer: str, *, outbound: bool = True, domain: Domain = Domain.MXP, sound: object = None) -> None:
        self.id = f"call-{peer}"
        self.peer, self.outbound, self.domain = peer, outbound, domain
        self.headers = {"x-topic": "tea"} if not outbound else {}
        self.sound = FakeSound()
        self.asked_sound = sound
        self.details = CallDetails(time.time())
        self.muted = self.held_by_us = self.held_by_peer = False
        self.rings = True
        self.dialled: list[str] = []
        self.asked: list[tuple[Any, ...]] = []  # of its sound
        self.refuses_digits: SinchphoneError | None = None
        self.is_told_of_holds = True
        self.rests = self.is_joined = self.has_video = self.video_offered = False
        self.pictures = None
        self.told: Outbox[Any] = Outbox()
        self.packets = PortStats(codec="opus", packets_sent=50, packets_received=50)
        self.answers = asyncio.Event()
        self.declined: list[bool] = []
        self.writes_files = False  # its sound takes a moment to close
        self._closed = asyncio.Event()
        self._history = [State.CREATED]
        self._changed = asyncio.Event()

    @property
    def state(self) -> State:
        return self._history[-1]

    @property
    def talked_seconds(self) -> float | None:
        since = self.details.established_at
        return None if since is None else time.time() - since

    def enter(self, *states: State) -> None:
        for state in states:
            self.details = replace(self.details, **{f"{state.value}_at": time.time()})  # type: ignore[arg-type]
            if state is State.ESTABLISHED:
                self.details = replace(self.details, codec="opus", pair="host")
            self._tell(state)

    def end(self, cause: Cause, by: Any, failure: CallFailure | None = None, **more: Any) -> None:
        if self.state is State.ENDED:
            return
        self.details = replace(self.details, cause=cause, ended_by=by, failure=failure, ended_at=time.time(), **more)
        self._tell(State.ENDED)
        if not self.writes_files:
            self.close()

    def close(self) -> None:
        self.sound.outbox.end()
        self.told.end()
        self._closed.set()

    def _tell(self, state: State) -> None:
        self._history.append(state)
        self._changed.set()

    async def states(self) -> AsyncIterator[State]:
        seen = 0
        while True:
            while seen < len(self._history):
                seen += 1
                yield self._history[seen - 1]
            if self.state is State.ENDED:
                return
            self._changed.clear()
            await self._changed.wait()

    async def ended(self) -> CallDetails:
        async for _ in self.states():
            pass
        return self.details

    async def closed(self) -> None:
        await self._closed.wait()

    async def hang_up(self) -> None:
        answered = self.details.answered_at is not None
        self.end(Cause.HUNG_UP if answered else Cause.CANCELED if self.outbound else Cause.DENIED, "us")

    async def decline(self, *, busy: bool = False) -> None:
        self.declined.append(busy)
        self.end(Cause.DENIED, "us")

    async def answer(self) -> None:
        self.answers.set()
        self.enter(State.ANSWERED, State.ESTABLISHED)

    def mute(self, muted: bool) -> None:
        self.muted = muted

    async def play(self, path: str) -> bool:
        self.asked.append(("play", path))
        return path != "stopped.wav"

    def stop_playing(self) -> None:
        self.asked.append(("stop playing",))

    async def say(self, text: str, locale: str | None = None) -> bool:
        self.asked.append(("say", text, locale))
        return True

    async def record(self, path: str, *, layout: str, force: bool) -> None:
        self.asked.append(("record", path, layout, force))

    async def stop_recording(self) -> RecordFinished | None:
        recorded = [each for each in self.asked if each[0] == "record"]
        return RecordFinished(path=recorded[-1][1], seconds=1.0) if recorded else None

    async def set_device(self, *, microphone: str | None, loudspeaker: str | None) -> None:
        self.asked.append(("device", microphone, loudspeaker))

    async def hold(self, *, music: bool = True) -> None:
        self.asked.append(("hold", music))
        self.held_by_us = True
        self.told.put(Held(by_us=True, agreed=self.is_told_of_holds))

    async def resume(self) -> None:
        self.held_by_us = False
        self.told.put(Resumed(by_us=True))

    async def rest(self, resting: bool) -> None:
        self.rests = resting

    async def join(self, other: "FakeCall") -> None:
        self.is_joined = other.is_joined = True
        self.held_by_us = other.held_by_us = False

    async def part(self) -> None:
        self.is_joined = False

    async def dtmf(self, digits: str) -> None:
        if self.refuses_digits:
            raise self.refuses_digits
        self.dialled.append(digits)
        self.told.put(DigitsSent(digits=digits))

    def events(self) -> AsyncIterator[Any]:
        return self.told

    def levels(self) -> Levels:
        return self.sound.levels()

    async def stats(self) -> PortStats:
        return self.packets


Script = Callable[[FakeCall], Coroutine[Any, Any, None]]


@dataclass
class Platform:
    """What the fake platform does, and what it saw."""

    outgoing: Script | None = None
    incoming: list[tuple[str, Script]] = field(default_factory=list)
    refuses: Exception | None = None
    calls: list[FakeCall] = field(default_factory=list)
    ring: Callable[[str, Script], FakeCall] | None = None  # somebody calls now
    numbers: list[tuple[str, str | None]] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    takes_calls: list[bool] = field(default_factory=list)  # of each client
    closed: int = 0
    texts: list[tuple[tuple[str, ...], str, dict[str, str]]] = field(default_factory=list)
    acknowledging: tuple[str, ...] = ()  # who acknowledges what is sent
    failing: dict[str, SinchphoneError] = field(default_factory=dict)
    refuses_message: Exception | None = None
    received: list[InstantMessage] = field(default_factory=list)


class FakeEnvironment:
    application_key = "key"
    caller_id = None
    loopback = True
    hosting = True

    async def token(self, user_id: str, now: float | None = None) -> str:
        return f"header.{user_id}.signature"

    async def close(self) -> None:
        pass


def client_class(platform: Platform) -> type[Any]:  # noqa: C901  # a class is in it
    class FakeClient:
        instance_id = "instance-1"

        def __init__(self, user_id: str, environment: object, **options: Any) -> None:
            self.user_id = user_id
            self._sound = options["sound"]
            platform.takes_calls.append(options["takes_calls"])
            self._events: asyncio.Queue[ClientEvent] = asyncio.Queue()
            self._tasks: list[asyncio.Task[None]] = []

        async def __aenter__(self) -> Self:
            if platform.refuses:
                raise platform.refuses
            platform.users.append(self.user_id)
            self._events.put_nowait(Ready(user_id=self.user_id, instance_id=self.instance_id))
            for message in platform.received:
                self._events.put_nowait(MessageReceived(message=message))
            platform.ring = lambda peer, script: self._start(FakeCall(peer, outbound=False, sound=self._sound()), script, ring=True)
            for peer, script in platform.incoming:
                platform.ring(peer, script)
            return self

        async def __aexit__(self, *_: object) -> None:
            for task in self._tasks:
                task.cancel()
            platform.closed += 1

        def _start(self, call: FakeCall, script: Script | None, *, ring: bool = False) -> FakeCall:
            platform.calls.append(call)
            if ring:
                call.enter(State.RINGING)
                self._events.put_nowait(IncomingCall(call=call))  # type: ignore[arg-type]
            if script is not None:
                self._tasks.append(start_task(script(call), name="script"))
            return call

        async def events(self) -> AsyncIterator[ClientEvent]:
            while True:
                yield await self._events.get()

        async def call_user(self, user: str, *, headers: Any = None, sound: Any = None, video: Any = None) -> FakeCall:
            call = FakeCall(user, sound=sound)
            call.headers = headers
            return self._start(call, platform.outgoing)

        async def send_message(self, recipients: Any, text: str, *, headers: Any = None) -> SentMessage:
            platform.texts.append((tuple(recipients), text, dict(headers or {})))
            if platform.refuses_message:
                raise platform.refuses_message
            message = InstantMessage(
                id="m-1", sender=self.user_id, recipients=tuple(recipients), text=text, headers=dict(headers or {}), at=time.time()
            )
            sent = SentMessage(message, {f"t-{name}": name for name in recipients})
            for name, error in platform.failing.items():
                sent.fail(name, error)
                self._events.put_nowait(MessageFailed(message_id="m-1", recipient=name, error=error))
            self._events.put_nowait(MessageSent(message=message))
            self._tasks.append(start_task(self._acknowledge(sent), name="acknowledge"))
            return sent

        async def _acknowledge(self, sent: SentMessage) -> None:
            await asyncio.sleep(0.02)
            for name in platform.acknowledging:
                if sent.acknowledge(f"t-{name}"):
                    self._events.put_nowait(MessageDelivered(message_id="m-1", recipient=name))

        async def call_phone(self, number: str, *, caller_id: str | None = None, headers: Any = None, sound: Any = None) -> FakeCall:
            platform.numbers.append((number, caller_id))
            return self._start(FakeCall(number, domain=Domain.PSTN, sound=sound), platform.outgoing)

        async def call_sip(self, uri: str, *, headers: Any = None, sound: Any = None, video: Any = None) -> FakeCall:
            return self._place(uri, Domain.SIP, headers, sound)

        async def call_conference(self, room: str, *, headers: Any = None, sound: Any = None) -> FakeCall:
            return self._place(room, Domain.CONFERENCE, headers, sound)

        def _place(self, peer: str, domain: Domain, headers: Any, sound: Any) -> FakeCall:
            call = FakeCall(peer, domain=domain, sound=sound)
            call.headers = headers
            return self._start(call, platform.outgoing)

    return FakeClient


@pytest.fixture(autouse=True)
def nobodys_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No configuration and no state but those of the test."""
    for name in (
        "SINCH_APPLICATION_KEY",
        "SINCH_APPLICATION_SECRET",
        "SINCH_USER_ID",
        "NO_COLOR",
        "FORCE_COLOR",
        "CI",
        "SINCHPHONE_JSON",
        "SINCH_SMS_TOKEN",
        "SINCH_SERVICE_PLAN_ID",
    ):
        monkeypatch.delenv(name, raising=False)
    for name in ("PROFILE", "CONFIG", "CALLER_ID", "HOST", "TOKEN", "TOKEN_URL"):
        monkeypatch.delenv(f"SINCHPHONE_{name}", raising=False)
    for name in ("CONFIG", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Platform:
    """The fake platform, in the place of the engine's; with one sound device."""
    made = Platform()
    monkeypatch.setattr(engine_client, "SinchClient", client_class(made))
    monkeypatch.setattr(phone, "open_environment", lambda *_: FakeEnvironment())
    monkeypatch.setattr("sinchphone.cli.commands.setup.token.open_environment", lambda *_: FakeEnvironment())
    monkeypatch.setattr(MediaThread, "warm_up", lambda self: None)
    monkeypatch.setattr(devices, "list_devices", lambda: (devices.SoundDevice(0, "card", "ALSA", 1, 2, True, True),))
    return made


@dataclass
class Ran:
    """How a command line went."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """The lines of --json, each of which fits the schema."""
        lines = [json.loads(line) for line in self.out.splitlines()]
        for line in lines:
            SCHEMA.validate(line)
        return lines


@pytest.fixture
def sinchphone(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs a command line in this process."""

    def run(*arguments: str) -> Ran:
        code = command_line(arguments)
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run
