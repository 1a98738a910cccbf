"""A day of ``listen`` in some seconds: one process, one loop, whose clock jumps to the next thing that is due. Prints what was seen.

usage: python listening_day.py HOURS PORT

::

    listen --user bob (the command itself, which hosts the exchange)  <- loopback ->  alice, who calls every hour
    the media's sockets and threads: ports that connect at once and carry nothing, in the same loop

What is real: the command, client and exchange with HTTP and pub/sub over loopback, tokens, timers, history. What isn't: the clock, sound.
"""

import asyncio
import gc
import io
import json
import selectors
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

HOUR_S = 3600.0
EVERY_S = HOUR_S
REGISTERED_S = 8 * 3600
ASKED_S = 2 * HOUR_S
TALK_S = 5.0
_BEGAN = time.time()


class Clock:
    """That goes on when nobody has anything to do."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return _BEGAN + self.now


CLOCK = Clock()
time.time, time.monotonic = CLOCK.time, CLOCK.monotonic  # before anything of ours is imported and keeps them


class JumpingSelector(selectors.DefaultSelector):
    """Waits for nothing but for threads at work: where no socket has anything, it's later at once."""

    def __init__(self) -> None:
        super().__init__()
        self.busy: Callable[[], bool] = lambda: False

    def select(self, timeout: float | None = None) -> Any:
        found = super().select(0)
        if found or timeout == 0:
            return found
        while self.busy():
            if found := super().select(0.002):
                return found
        # What is on its way through loopback, on a busy machine: before a long jump, which is what would end somebody's patience.
        if found := super().select(0.0005 if timeout is None or timeout > 0.5 else 0.0001):
            return found
        if timeout is None:
            return super().select(0.05)
        CLOCK.now += max(timeout, 0.0)
        return []


class JumpingLoop(asyncio.SelectorEventLoop):
    """Knows who works in threads."""

    def __init__(self) -> None:
        self._at_work = 0
        selector = JumpingSelector()
        selector.busy = lambda: self._at_work > 0
        super().__init__(selector)

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        self._at_work += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(lambda _: setattr(self, "_at_work", self._at_work - 1))
        return future


class Port:
    """A media port that connects when both sides have described themselves."""

    def __init__(self) -> None:
        from sinchphone.media.outbox import Outbox

        self._events: Any = Outbox()
        self.direction = "sendrecv"
        self.pictures = None
        self.leg = SilentLeg()

    async def offer(self) -> Any:
        from sinchphone.protocol.sdp.jsep import Description

        return Description("offer", "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n")

    async def answer(self, offer: Any) -> Any:
        from sinchphone.protocol.sdp.jsep import Description

        self._connect()
        return Description("answer", offer.sdp)

    async def accept(self, answer: Any) -> None:
        self._connect()

    def _connect(self) -> None:
        from sinchphone.media.port import Connected

        self._events.put(Connected(pair="host", codec="opus"))

    async def fork(self) -> "Port":
        return Port()

    async def add_candidate(self, candidate: Any) -> None:
        pass

    async def dtmf(self, digits: str) -> None:
        pass

    def events(self) -> AsyncIterator[Any]:
        events: AsyncIterator[Any] = self._events
        return events

    async def stats(self) -> Any:
        from sinchphone.media.port import PortStats

        return PortStats(codec="opus")

    async def close(self) -> None:
        self._events.close()


class SilentLeg:
    """Nobody is heard."""

    def send(self, frame: Any) -> None:
        pass

    def pull(self, samples: int) -> Any:
        import numpy as np

        return np.zeros(samples, np.int16)

    def is_missing(self) -> bool:
        return False


class Ports:
    def port(self, options: Any) -> Port:
        return Port()


def replace_media() -> None:
    """The media's loop is the one that runs, and its ports are ours."""
    from sinchphone.media import thread

    def start(self: Any) -> Any:
        self._loop = asyncio.get_running_loop()
        return self

    replaced: Any = thread.MediaThread
    replaced.start = start
    replaced.stop = replaced.warm_up = lambda self: None
    replaced.ports = property(lambda self: Ports(), lambda self, value: None)


def limit_registrations(seen: dict[str, Any]) -> None:
    """They end after some hours, unless a new token prolongs them; the platform wants to be asked about them that often."""
    from sinchphone.local import application
    from sinchphone.protocol import auth
    from sinchphone.signaling.ocra import dialect

    limits: Any = auth
    limits.MIN_INSTANCE_LIFETIME_SECONDS = REGISTERED_S
    registration, signed, prolong = dialect._registration, auth.sign_registration_token, dialect.OcraDialect._prolong

    def token(key: str, secret: bytes, user: str, *, issued_at: int, nonce: str) -> str:
        seen["tokens"][user] = seen["tokens"].get(user, 0) + 1
        return signed(key, secret, user, issued_at=issued_at, nonce=nonce, instance_expires_at=issued_at + REGISTERED_S)

    async def prolonged(self: Any, stored: Any, configuration: Any) -> Any:
        after = await prolong(self, stored, configuration)
        seen["prolonged"] += after is not stored
        return after

    replaced: Any = dialect
    replaced._registration = lambda *told: replace(registration(*told), config_refresh_s=ASKED_S)
    replaced.OcraDialect._prolong = prolonged
    signing: Any = application
    signing.sign_registration_token = token


def count_confirmations(seen: dict[str, Any]) -> None:
    """Of registrations: the platform is asked whether it still knows the device, with the secret that it gave it."""
    from sinchphone.signaling.ocra.dialect import OcraDialect

    replaced: Any = OcraDialect
    confirm = replaced.confirm

    async def counted(self: Any) -> Any:
        seen["confirmed"] += 1
        return await confirm(self)

    replaced.confirm = counted


def look(hour: int, seen: dict[str, Any]) -> None:
    """What there is, while nobody calls."""
    from sinchphone.engine.calls.call import Call

    gc.collect()
    alive = gc.get_objects()
    seen["hours"].append(
        {
            "hour": hour,
            "calls": sum(isinstance(one, Call) for one in alive),
            "objects": len(alive),
            "tasks": len(asyncio.all_tasks()),
            "files": len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").is_dir() else 0,
        }
    )


async def call_all_day(hours: int, port: int, seen: dict[str, Any]) -> None:
    """Alice, who calls bob again and again."""
    from sinchphone.engine.client import SinchClient
    from sinchphone.local import Local
    from sinchphone.protocol.call.states import State

    await asyncio.sleep(10.0)
    begun = CLOCK.now
    async with Local(port=port) as local:
        for number in range(1, int(hours * HOUR_S / EVERY_S)):
            await asyncio.sleep(begun + number * EVERY_S - CLOCK.now)
            async with SinchClient("alice", local) as alice:
                call = await alice.call_user("bob")
                async for state in call.states():
                    if state is State.ESTABLISHED:
                        await asyncio.sleep(TALK_S)
                        seen["answered"] += 1
                        await call.hang_up()
                seen["ends"].append(str(call.details.cause))
            await asyncio.sleep(60.0)
            look(number, seen)


def main(hours: int, port: int) -> None:
    """The day."""
    seen: dict[str, Any] = {"answered": 0, "ends": [], "hours": [], "tokens": {}, "prolonged": 0, "confirmed": 0}
    replace_media()
    limit_registrations(seen)
    count_confirmations(seen)

    from sinchphone.tasks import start_task

    def new_loop() -> JumpingLoop:
        loop = JumpingLoop()
        loop.call_soon(lambda: seen.setdefault("caller", []).append(start_task(call_all_day(hours, port, seen), name="alice")))
        return loop

    asyncio.events.new_event_loop = new_loop
    from sinchphone.cli.command_line import command_line

    words = ["listen", "--user", "bob", "--json", "--no-audio", "--auto-answer", "0s", "--for", f"{hours}h"]
    written = io.StringIO()
    with redirect_stdout(written):
        seen["exit_code"] = int(command_line(words))
    caller = seen.pop("caller")[0]
    seen["caller"] = "" if caller.cancelled() else repr(caller.exception())
    seen["passed_s"] = CLOCK.now - 1_000.0
    events = [json.loads(line) for line in written.getvalue().splitlines()]
    seen["events"] = {name: sum(event["event"] == name for event in events) for name in {event["event"] for event in events}}
    seen["trouble"] = [(event["t"], event["reason"]) for event in events if event["event"] == "client.reconnecting"]
    print(json.dumps(seen))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
