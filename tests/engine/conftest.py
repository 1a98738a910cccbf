"""Messengers on a network made of nothing, which may lose, double and reorder."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from sinchphone.engine.events.events import ClientEvent
from sinchphone.engine.history.history import History
from sinchphone.engine.messages.messenger import Messenger
from sinchphone.errors import NotFoundError, RemoteProtocolError, SinchphoneError
from sinchphone.protocol.mxp.fragments import parse_fragment
from sinchphone.signaling.dialect import (
    Instance,
    MessageCounts,
    Profile,
    PubSubConfig,
    Recipient,
    Registration,
    RemoteInstance,
    Transport,
    TransportParticipant,
)
from sinchphone.tasks import start_task

TAKES_MESSAGES = (RemoteInstance("i", ("im",)),)


@dataclass
class World:
    """A platform with users, and a network between them."""

    users: list[str]
    keys: dict[frozenset[str], Transport] = field(default_factory=dict)
    messengers: list["Phone"] = field(default_factory=list)
    faults: Callable[[str, str], Sequence[str]] = lambda channel, frame: [frame]
    refusals: list[SinchphoneError] = field(default_factory=list)  # of the next transport requests
    dead_channels: dict[str, SinchphoneError] = field(default_factory=dict)
    slow_channels: set[str] = field(default_factory=set)  # on which nothing is ever published
    published: list[tuple[str, str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    reports: list[MessageCounts] = field(default_factory=list)
    reads_reports: asyncio.Event = field(default_factory=asyncio.Event)  # a report is answered once that is set
    capabilities: tuple[RemoteInstance, ...] = TAKES_MESSAGES

    def transport(self, users: frozenset[str]) -> Transport:
        if users not in self.keys:
            members = tuple(TransportParticipant(f"t-{user}", Recipient(user), self.capabilities) for user in sorted(users))
            self.keys[users] = Transport(f"tr-{len(self.keys)}", bytes([len(self.keys)]) * 32, members)
        return self.keys[users]

    def publish(self, channel: str, frame: str) -> None:
        self.published.append((channel, frame))
        for one in self.faults(channel, frame):
            self.deliver(channel, one)

    def deliver(self, channel: str, frame: Any) -> None:
        for phone in self.messengers:
            if phone.channel == channel:
                phone.feed(frame)


@dataclass
class Dialect:
    world: World
    user: str

    def _refuse(self) -> None:
        if self.world.refusals:
            raise self.world.refusals.pop(0)

    async def open_transport(self, recipients: Sequence[Recipient]) -> Transport:
        self._refuse()
        known = [one.identity for one in recipients if one.identity in self.world.users]
        whole = self.world.transport(frozenset({self.user, *known}))
        members = {member.recipient.identity: member for member in whole.participants}
        return Transport(whole.id, whole.key, tuple(members[name] for name in known))

    async def transport(self, transport_id: str) -> Transport:
        self.world.asked.append(transport_id)
        self._refuse()
        for users, transport in self.world.keys.items():
            if transport.id == transport_id and self.user in users:
                return transport
        raise NotFoundError("no such transport")

    async def report_messages(self, counts: MessageCounts) -> None:
        self.world.reports.append(counts)
        await self.world.reads_reports.wait()


class Phone:
    """A device of a user: a messenger and the line it hangs on."""

    def __init__(self, world: World, user: str, device: str, history: History | None) -> None:
        self.world, self.user, self.channel = world, user, f"t-{user}"
        instance = Instance(f"i-{user}-{device}", b"secret", user, device, None)
        profile = Profile("b", "s", b"k" * 16, self.channel)
        self.registration = Registration(instance, PubSubConfig("ps", True, "b", "s", "p", "bp"), profile)
        self.dialect = Dialect(world, user)
        self.events: list[ClientEvent] = []
        self.confirmed = 0
        self.messenger = Messenger(self, user, tell=self.events.append, history=history)  # type: ignore[arg-type]

    async def publish_message(self, channel: str, text: str) -> None:
        if channel in self.world.dead_channels:
            raise self.world.dead_channels[channel]
        if channel in self.world.slow_channels:
            await asyncio.Event().wait()
        self.world.publish(channel, text)

    async def confirm(self) -> Registration:
        self.confirmed += 1
        return self.registration

    def feed(self, frame: Any) -> None:
        with contextlib.suppress(RemoteProtocolError):
            self.messenger.feed(parse_fragment(frame), 0.0)

    async def send(self, to: Sequence[str], text: str, headers: dict[str, str] | None = None) -> Any:
        return await self.messenger.send([Recipient(one) for one in to], text, headers or {})

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
async def world() -> AsyncIterator[Any]:
    made = World(["alice", "bob", "carol"])
    made.reads_reports.set()
    tasks: list[asyncio.Task[None]] = []

    def phone(user: str, device: str = "1", history: History | None = None) -> Phone:
        opened = Phone(made, user, device, history)
        made.messengers.append(opened)
        tasks.append(start_task(opened.messenger.run(), name="run"))
        return opened

    made.phone = phone  # type: ignore[attr-defined]
    yield made
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)


async def _eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.002)


async def _quiet() -> None:
    """Let everything that's under way happen."""
    for _ in range(50):
        await asyncio.sleep(0)


@pytest.fixture
def eventually() -> Any:
    return _eventually


@pytest.fixture
def quiet() -> Any:
    return _quiet
