"""Instant messages through the exchange: between phones, and between the dialects."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sinchphone.engine.client import SinchClient
from sinchphone.engine.environment import Cloud
from sinchphone.engine.events.events import MessageDelivered, MessageReceived, MessageSent
from sinchphone.engine.messages.messenger import Messenger
from sinchphone.errors import AuthenticationError, ForbiddenError, MessageError, NotFoundError, PlatformError
from sinchphone.local import Local
from sinchphone.protocol.call.states import Cause, State
from sinchphone.signaling.dialect import IdentityKind, Recipient
from sinchphone.signaling.papi.users import log_in


async def create_user(base_url: str, application_key: str, identities: Sequence[Recipient], password: str) -> None:
    body = {"password": password, "identities": [{"type": str(one.kind), "endpoint": one.identity} for one in identities]}
    headers = {"Authorization": f"application {application_key}"}
    async with aiohttp.ClientSession() as session, session.post(f"{base_url}/v1/users", json=body, headers=headers) as answer:
        assert answer.status == 200, await answer.text()


class Two:
    """Two environments on one exchange, one for each dialect."""

    def __init__(self, state: Path, media: Any, stack: AsyncExitStack) -> None:
        self._state, self._media, self._stack = state, media, stack
        self._ocra: Local | None = None

    async def phone(self, user: str, api: str = "ocra") -> SinchClient:
        if self._ocra is None:
            self._ocra = await self._stack.enter_async_context(Local(self._state, port=0, media=self._media))
        environment = self._ocra
        if api == "papi":
            port = int(self._ocra._url.rsplit(":", 1)[1])
            environment = Local(self._state, port=port, api="papi")
        return await self._stack.enter_async_context(SinchClient(user, environment, media=self._media))


@pytest.fixture
async def two(tmp_path_factory: pytest.TempPathFactory, media: Any) -> Any:
    async with AsyncExitStack() as stack:
        yield Two(tmp_path_factory.mktemp("state"), media, stack)


async def next_of(client: SinchClient, kind: type[Any]) -> Any:
    async with asyncio.timeout(20):
        async for event in client.events():
            if isinstance(event, kind):
                return event
    raise AssertionError("the client failed")


APIS = [("ocra", "ocra"), ("papi", "papi"), ("ocra", "papi"), ("papi", "ocra")]


@pytest.mark.parametrize(("hers", "his"), APIS)
async def test_a_message_is_delivered_and_acknowledged(two: Any, hers: str, his: str) -> None:
    alice, bob = await two.phone("alice", hers), await two.phone("bob", his)
    sent = await alice.send_message("bob", "on my way 🚲", headers={"k": "v"})
    received = (await next_of(bob, MessageReceived)).message
    assert (received.id, received.sender, received.recipients) == (sent.id, "alice", ("bob",))
    assert (received.text, received.headers) == ("on my way 🚲", {"k": "v"})
    async with asyncio.timeout(20):
        await sent.settled()
    assert list(sent.delivered) == ["bob"]
    delivered = await next_of(alice, MessageDelivered)
    assert delivered == MessageDelivered(message_id=sent.id, recipient="bob")


async def test_a_long_message_to_two_arrives_at_both(two: Any) -> None:
    alice, bob, carol = await two.phone("alice"), await two.phone("bob", "papi"), await two.phone("carol")
    text = "ö" * 12_000
    sent = await alice.send_message(["bob", "carol"], text)
    for reader in (bob, carol):
        assert (await next_of(reader, MessageReceived)).message.text == text
    async with asyncio.timeout(20):
        await sent.settled()
    assert set(sent.delivered) == {"bob", "carol"}


async def test_an_unknown_user_gets_nothing_and_neither_does_the_other(two: Any) -> None:
    alice, bob = await two.phone("alice"), await two.phone("bob")
    with pytest.raises(NotFoundError, match="nobody-here"):
        await alice.send_message(["bob", "nobody-here"], "hi")
    with pytest.raises(ForbiddenError, match="echo takes calls, but no messages") as refused:
        await alice.send_message(["bob", "echo"], "hi")
    assert refused.value.hint == "nobody got the message"
    await alice.send_message("bob", "later")
    assert (await next_of(bob, MessageReceived)).message.text == "later"


async def test_a_message_to_oneself_is_refused(two: Any) -> None:
    alice = await two.phone("alice")
    with pytest.raises((MessageError, PlatformError), match="oneself"):
        await alice.send_message("alice", "hi")


async def test_a_message_waits_until_its_recipient_is_back(two: Any, media: Any) -> None:
    alice = await two.phone("alice")
    async with SinchClient("bob", two._ocra, media=media):
        pass
    sent = await alice.send_message("bob", "while you were away")
    await asyncio.sleep(0.5)
    assert sent.waiting == ("bob",)
    bob = await two.phone("bob")
    assert (await next_of(bob, MessageReceived)).message.text == "while you were away"
    async with asyncio.timeout(20):
        await sent.settled()


async def test_my_other_device_sees_what_i_send(two: Any) -> None:
    here, there, _ = await two.phone("alice"), await two.phone("alice", "papi"), await two.phone("bob")
    await here.send_message("bob", "hi")
    event = await next_of(there, MessageSent)
    assert event.elsewhere and event.message.recipients == ("bob",)


@pytest.mark.parametrize(("hers", "his"), APIS[1:])
async def test_a_call_passes_between_the_dialects(two: Any, steps: Any, hers: str, his: str) -> None:
    alice, bob = await two.phone("alice", hers), await two.phone("bob", his)
    outgoing = await alice.call_user("bob", headers={"x-order": "42"})
    incoming = await steps.next_call(bob)
    assert incoming.peer == "alice" and incoming.headers == {"x-order": "42"}
    await incoming.answer()
    await steps.reach(outgoing, State.ESTABLISHED)
    await steps.reach(incoming, State.ESTABLISHED)
    await outgoing.hang_up()
    assert (await steps.end_of(incoming)).cause is Cause.HUNG_UP


async def test_a_legacy_client_calls_a_phone_number(two: Any, steps: Any) -> None:
    alice = await two.phone("alice", "papi")
    call = await alice.call_phone("+46000000000")
    details = await steps.end_of(call, 30.0)
    assert (details.cause, details.ended_by) == (Cause.HUNG_UP, "peer")


async def test_a_user_with_a_password_logs_in_and_can_be_written_to_by_e_mail(two: Any, media: Any) -> None:
    alice = await two.phone("alice")
    url, key = two._ocra._url, two._ocra.application_key
    names = [Recipient("dora"), Recipient("dora@example.org", IdentityKind.EMAIL)]
    await create_user(url, key, names, "correct horse battery staple")

    async def ticket(user: str) -> str:
        return await log_in(url, key, Recipient(user), "correct horse battery staple")

    cloud = Cloud(key, host=url, token_source=ticket, api="papi")
    async with SinchClient("dora", cloud, media=media) as dora:
        sent = await alice.send_message(["mailto:dora@example.org"], "hi")
        received = (await next_of(dora, MessageReceived)).message
        assert (received.id, received.sender, received.text) == (sent.id, "alice", "hi")
        async with asyncio.timeout(20):
            await sent.settled()
        assert list(sent.delivered) == ["dora@example.org"]


async def test_a_wrong_password_is_refused(two: Any) -> None:
    await two.phone("alice")
    url, key = two._ocra._url, two._ocra.application_key
    await create_user(url, key, [Recipient("dora")], "correct horse battery staple")
    with pytest.raises(AuthenticationError):
        await log_in(url, key, Recipient("dora"), "wrong horse battery staple")


async def test_a_message_is_sent_before_it_is_delivered_however_fast_the_receipt_is(two: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob, carol = await two.phone("alice"), await two.phone("bob"), await two.phone("carol")
    publish, published = Messenger._publish_frames, 0

    async def slowly(self: Messenger, channel: str, frames: Sequence[str]) -> None:
        nonlocal published
        published += 1
        if published == 3:  # our own channel, bob's, carol's
            await next_of(bob, MessageReceived)
            await asyncio.sleep(0.5)  # bob's receipt is here
        await publish(self, channel, frames)

    monkeypatch.setattr(Messenger, "_publish_frames", slowly)
    events = alice.events()
    sent = await alice.send_message(("bob", "carol"), "tea?")
    async with asyncio.timeout(20):
        await sent.settled()
        told = [one async for one in _first(events, 3)]
    assert [type(one) for one in told] == [MessageSent, MessageDelivered, MessageDelivered]
    assert carol.user_id == "carol"


async def _first(events: Any, count: int) -> Any:
    found = 0
    async for event in events:
        if isinstance(event, MessageSent | MessageDelivered):
            found += 1
            yield event
            if found == count:
                return


async def test_messages_arrive_again_after_the_exchange_was_reset(two: Two) -> None:
    """It has forgotten what carried them; both clients make themselves known again."""
    alice, bob = await two.phone("alice"), await two.phone("bob")
    await (await alice.send_message("bob", "before")).settled()
    assert two._ocra is not None
    await two._ocra.management.reset()
    async with asyncio.timeout(20):
        while {one.user_id for one in await two._ocra.management.users() if one.listening} != {"alice", "bob"}:
            await asyncio.sleep(0.05)
    async with asyncio.timeout(20):
        await (await alice.send_message("bob", "after")).settled()
    told = [event.message.text async for event in first_of(bob, 2)]
    assert told == ["before", "after"]


async def first_of(client: SinchClient, count: int) -> Any:
    async with asyncio.timeout(20):
        async for event in client.events():
            if isinstance(event, MessageReceived):
                yield event
                count -= 1
                if not count:
                    return
