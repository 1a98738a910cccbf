"""The whole exchange with its gateway, and users at terminals: what real phones, PBXs and carriers are connected to."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sinchphone.engine.calls.call import Call, DigitHeard
from sinchphone.engine.calls.details import CallDetails
from sinchphone.engine.client import SinchClient
from sinchphone.engine.events.events import IncomingCall
from sinchphone.exchange.tls import Issued
from sinchphone.gateway.options import GatewayOptions, SipSettings
from sinchphone.gateway.relay.local import LocalRelays
from sinchphone.local import Local
from sinchphone.media.thread import MediaThread
from sinchphone.media.ticker import Ticker
from sinchphone.protocol.call.states import State
from sinchphone.tasks import start_task
from tests.peers.peerkit.programs import PATIENCE_SECONDS
from tests.peers.peerkit.station import Mouth, nothing_left

USERS = {"desk": "secret-d", "kitchen": "secret-k"}  # phones, and their passwords


@dataclass
class Talk:
    """A user's call: what they say and hear."""

    call: Call
    mouth: Mouth
    digits: str = ""
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def listen(self) -> "Talk":
        self.tasks.append(start_task(self._listen(), name="talk"))
        return self

    async def reaches(self, state: State, seconds: float = PATIENCE_SECONDS) -> None:
        async with asyncio.timeout(seconds):
            async for now in self.call.states():
                if now is state:
                    return
        raise AssertionError(f"the call ended instead: {self.call.details}")

    async def ended(self, seconds: float = PATIENCE_SECONDS) -> CallDetails:
        async with asyncio.timeout(seconds):
            return await self.call.ended()

    async def hang_up(self) -> CallDetails:
        await self.call.hang_up()
        return await self.ended()

    async def hears_digits(self, digits: str) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.digits != digits:
                await asyncio.sleep(0.05)

    async def _listen(self) -> None:
        async for event in self.call.events():
            self.digits += event.digit if isinstance(event, DigitHeard) else ""


class User:
    """Somebody at a terminal, who says a tone."""

    client: SinchClient

    def __init__(self, deployment: "Deployment", hz: float) -> None:
        self.deployment = deployment
        self.hz = hz
        self.mouths: list[Mouth] = []

    def sound(self) -> Ticker:
        self.mouths.append(Mouth(self.hz))
        return Ticker(self.mouths[-1], self.deployment.media)

    async def calls(self, address: str, **more: Any) -> Talk:
        """Call a SIP address."""
        call = await self.client.call_sip(address.removeprefix("sip:"), sound=self.sound(), **more)
        return self.deployment.talk(call, self.mouths[-1])

    async def calls_number(self, number: str) -> Talk:
        call = await self.client.call_phone(number, caller_id="+12125552368", sound=self.sound())
        return self.deployment.talk(call, self.mouths[-1])

    async def calls_user(self, name: str) -> Talk:
        call = await self.client.call_user(name, sound=self.sound())
        return self.deployment.talk(call, self.mouths[-1])

    async def answers(self) -> Talk:
        """Take the next call."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            async for event in self.client.events():
                if isinstance(event, IncomingCall):
                    await event.call.answer()
                    return self.deployment.talk(event.call, self.mouths[-1])
        raise AssertionError("the client ended")


class Deployment:
    """A running exchange."""

    def __init__(self, local: Local, media: MediaThread, stack: AsyncExitStack) -> None:
        self.local = local
        self.media = media
        self._stack = stack

    @property
    def at(self) -> str:
        """Where it speaks SIP, ``host:port``."""
        assert self.local.sip_address is not None
        return self.local.sip_address

    def over(self, transport: str) -> str:
        """The same for a transport, as a URI has it."""
        exchange = self.local._exchange
        assert exchange is not None
        assert exchange.gateway is not None
        address = exchange.gateway.sip_tls_address if transport == "tls" else self.at
        return f"{address};transport={transport}"

    async def user(self, name: str, hz: float = 1000.0) -> User:
        user = User(self, hz)
        user.client = await self._stack.enter_async_context(SinchClient(name, self.local, media=self.media, sound=user.sound))
        return user

    def talk(self, call: Call, mouth: Mouth) -> Talk:
        talk = Talk(call, mouth).listen()
        self._stack.callback(talk.tasks[0].cancel)
        return talk

    def open(self) -> tuple[int, int, int]:
        """Relays, SIP calls and lines of the trunk that aren't let go of."""
        exchange = self.local._exchange
        runtime = exchange.gateway._runtime if exchange is not None and exchange.gateway is not None else None  # type: ignore[attr-defined]
        if runtime is None:
            return 0, 0, 0
        context, sides = runtime.context, runtime._agents._sides.values()
        relays = [made.relays for made in context.media_backends._made.values() if isinstance(made.relays, LocalRelays)]
        lines = context.lines.calls if context.lines is not None else 0
        return sum(len(one._relays) for one in relays), sum(side.agent.open_calls for side in sides), lines

    async def is_quiet(self) -> None:
        """Waits until nothing of any call is left."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                while any(self.open()):
                    await asyncio.sleep(0.05)
        assert not any(self.open()), f"left behind: relays, SIP calls, lines {self.open()}"


@contextlib.asynccontextmanager
async def deployed(
    media: MediaThread, folder: Path, /, *, issued: Issued | None = None, gateway: Any = None, **sip: Any
) -> AsyncIterator[Deployment]:
    """An exchange that speaks SIP at a free port (TLS too, with ``issued``). When it's left, nothing of its calls may be there any more."""
    settings = SipSettings(users=USERS, **{"port": 0, "tls": issued is not None, "tls_port": 0, **sip})
    async with nothing_left(media):
        local = Local(folder, port=0, media=media, gateway=GatewayOptions(sip=settings, **(gateway or {})), sip_port=0, keep=False)
        if issued is not None:
            local._gateway = replace(local._gateway, certificate=issued.certificate)
        async with local:
            async with AsyncExitStack() as stack:
                made = Deployment(local, media, stack)
                yield made
                await made.is_quiet()
            await asyncio.sleep(0)
