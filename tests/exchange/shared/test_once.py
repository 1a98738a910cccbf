"""What must happen once happens once, at whichever processes it is tried at the same time."""

import asyncio
import base64
import json
import uuid
from collections import Counter
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from sinchphone.exchange.calls.line import Answerer, CallLine
from sinchphone.exchange.directory import accounts
from sinchphone.exchange.directory.devices import Application
from sinchphone.exchange.server import Exchange
from sinchphone.exchange.store.feed import FeedMessage
from sinchphone.exchange.store.redis.connection import connect, key_of
from sinchphone.exchange.store.shared_limits import Limit
from sinchphone.exchange.store.tables import SEEN
from sinchphone.protocol.mxp.message import BodyType, Client, Message, Method, encrypt, split
from sinchphone.signaling.dialect import CallRequest
from sinchphone.tasks import start_task
from tests.exchange.conftest import LegacyPhone, Phone
from tests.exchange.shared.conftest import Join, RedisServer
from tests.exchange.test_replay import captured_call

LIMIT = 3


@pytest.fixture
async def both(join: Join, redis: RedisServer) -> tuple[Exchange, Exchange]:
    first, second = await asyncio.gather(*(join(redis.address, devices_per_user=LIMIT, users=4) for _ in range(2)))
    return first, second


async def test_a_limit_of_devices_holds_over_all_processes(both: Any, http: aiohttp.ClientSession) -> None:
    phones = [Phone(http, both[number % 2].url, "ada", device=f"device-{number}") for number in range(2 * LIMIT)]
    answers = await asyncio.gather(*(phone.send_registration(phone.token()) for phone in phones))
    assert Counter(answer.status for answer in answers) == {200: LIMIT, 429: LIMIT}
    for exchange in both:
        await exchange._store.catch_up()
        assert len(exchange.directory.application("acme").users["ada"]) == LIMIT


async def test_a_call_id_is_taken_once(both: Any, http: aiohttp.ClientSession) -> None:
    ada, bob = await Phone(http, both[0].url, "ada").registered(), await Phone(http, both[1].url, "bob").registered()
    assert bob.instance
    for number in range(5):
        callers = (ada, replace(ada, url=both[1].url))
        answers = await asyncio.gather(*(caller.call("bob", call_id=f"call-{number}") for caller in callers))
        assert sorted(answer.status for answer in answers)[1:] in ([409], [429])


async def test_a_name_is_taken_once(both: Any, http: aiohttp.ClientSession) -> None:
    async def create(url: str, name: str) -> int:
        phone = LegacyPhone(http, url, name)
        identity = [{"type": "username", "endpoint": name}]
        answer = await phone.as_application("POST", "/v1/users", {"identities": identity, "password": f"secret of {url}"})
        return answer.status

    answers = await asyncio.gather(*(create(exchange.url, "carol") for exchange in both))
    assert sorted(answers) == [200, 409]


async def test_what_is_posted_beside_turns_is_never_refused_for_one_that_is_over(both: Any) -> None:
    """Each message of a call in progress that came in while somebody registered."""
    store = both[0]._store
    message = FeedMessage(application="acme", network="pubnub", channel="news", payload="hello", size=5)

    async def take_turns() -> None:
        for number in range(40):
            async with store.exclusive("acme"):
                store.put(SEEN, "acme", f"device-{number}", 0.0)

    async def post() -> None:
        for _ in range(200):
            await store.publish([message])

    await asyncio.gather(take_turns(), *(post() for _ in range(5)))


async def test_a_row_that_several_change_at_once_ends_up_the_same_everywhere(both: Any, http: aiohttp.ClientSession) -> None:
    ada = await Phone(http, both[0].url, "ada").registered()

    async def update(exchange: Exchange, number: int) -> None:
        phone = replace(ada, url=exchange.url)
        assert (await phone.send_registration(phone.token(), capabilities=[f"can-{number}"])).status in (200, 201)

    await asyncio.gather(*(update(exchange, number) for number in range(4) for exchange in both))
    found = []
    for exchange in both:
        await exchange._store.catch_up()
        found.append(exchange.directory.device(ada.instance).capabilities)
    assert found[0] == found[1]


async def test_messages_in_pieces_that_come_to_several_processes_are_passed_on_whole_and_once(
    both: Any, http: aiohttp.ClientSession
) -> None:
    ada, bob = await LegacyPhone(http, both[0].url, "ada").started(), await LegacyPhone(http, both[1].url, "bob").started()
    there = replace(ada, url=both[1].url)
    transport = (await ada.ask("POST", "/v1/transport", [{"identity": "bob"}])).body
    sender = Client("ada", f"{ada.instance}:1", ada.config["rtcProfile"]["transportChannel"])
    message = Message(Method.INVITE, sender, BodyType.TEXT, json.dumps({"t": "long " * 800}))
    payload = encrypt(message, base64.b64decode(transport["key"]), b"i" * 16)
    frames = split(payload, str(uuid.uuid4()), "1", transport["transportId"])
    assert len(frames) > 3
    (channel,) = [participant["channel"] for participant in transport["participants"]]
    answers = await asyncio.gather(*((ada, there)[number % 2].publish(channel, frame) for number, frame in enumerate(frames)))
    assert [answer.status for answer in answers] == [200] * len(frames)
    for exchange in both:
        reader = replace(bob, url=exchange.url)
        got, token = await reader.poll((await reader.poll())[1])
        assert got == frames, token


async def test_what_a_process_changed_itself_never_comes_back_to_it_as_it_was_before(both: Any) -> None:
    """In a turn whose first half somebody else has sent: a count would begin anew."""
    store = both[0]._store
    came: list[Any] = []
    store.follow(SEEN, came.append, came.append)
    for number in range(20):
        async with store.exclusive("acme"):
            store.put(SEEN, "acme", "ada", 2.0 * number)
            sent = asyncio.gather(*(store.publish([FeedMessage(application="acme", network="n", channel="c", payload="x", size=1)]),))
            await asyncio.sleep(0)
            store.put(SEEN, "acme", "ada", 2.0 * number + 1)
            await sent
            await store.catch_up()
    await store.catch_up()
    assert came == [] and not store._ours


# Limits


async def test_a_captured_request_is_served_once_over_all_processes(both: Any, http: aiohttp.ClientSession) -> None:
    """Also one that failed the first time, and could succeed later."""
    ada, bob = await Phone(http, both[0].url, "ada").registered(), await Phone(http, both[1].url, "bob").registered()
    for callee, expected in (("nobody", [404, 409, 409, 409]), ("bob", [200, 409, 409, 409])):
        path, content, credentials, stamp = await captured_call(ada, callee)
        sent = [replace(ada, url=both[number % 2].url).send("POST", path, content, f"Instance {credentials}", stamp) for number in range(4)]
        assert sorted(answer.status for answer in await asyncio.gather(*sent)) in (sorted(expected), sorted([*expected[1:], expected[0]]))
    assert bob.instance


async def log_in(exchange: Exchange, password: str, source: str = "127.0.0.1") -> int:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(local_addr=(source, 0))) as session:
        phone = LegacyPhone(session, exchange.url, "carol")
        answer = await phone.as_application("POST", "/v1/users/username/carol/authentication", {"password": password})
        return answer.status


async def test_wrong_passwords_lock_out_where_they_come_from_at_all_processes(
    both: Any, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "_GUESSES", Limit("passwords", 2, 0.01))
    created = await LegacyPhone(http, both[0].url, "carol").as_application(
        "POST", "/v1/users", {"identities": [{"type": "username", "endpoint": "carol"}], "password": "her secret"}
    )
    assert created.status == 200
    assert await log_in(both[1], "her secret") == 200
    assert [await log_in(exchange, "a guess", "127.0.0.2") for exchange in both] == [401, 401]
    assert [await log_in(exchange, "her secret", "127.0.0.2") for exchange in both] == [429, 429]
    assert await log_in(both[0], "her secret") == 200


async def test_where_the_right_password_came_from_nobody_is_locked_out_at_any_process(both: Any) -> None:
    guessed = Limit("passwords", 2, 0.01)
    first, second = both[0]._limits, both[1]._limits
    await first.trust("acme", "here ada")
    assert [await limits.take(guessed, "acme", "here ada", 0.0) for limits in (first, second, first)] == [True, True, False]
    assert not await second.has(guessed, "acme", "here ada", 0.0) and await second.has(guessed, "globex", "here ada", 0.0)
    assert await second.trusts("acme", "here ada") and not await second.trusts("acme", "there ada")


async def test_an_allowance_comes_back_with_time_and_leaves_nothing_at_redis(both: Any, redis: RedisServer) -> None:
    quick = Limit("quick", 1, 20.0)
    limits = both[0]._limits
    assert [await limits.take(quick, "acme", "ada", 0.0) for _ in range(2)] == [True, False]
    async with asyncio.timeout(20):
        while not await both[1]._limits.take(quick, "acme", "ada", 0.0):
            await asyncio.sleep(0.02)
    client = connect(redis.address)
    assert 0 < await client.pttl(key_of("acme", "allowance:quick:ada")) <= 1100
    await client.aclose()


async def test_nobody_answers_a_call_before_its_id_is_ours_for_certain_nor_where_the_turn_was_lost(
    both: Any, http: aiohttp.ClientSession
) -> None:
    """Else another process might ask a backend about it, too."""
    asked: list[str] = []

    async def answer(line: CallLine) -> None:
        asked.append(line.request.call_id)

    class Everybody:
        async def find(self, application: Application, request: CallRequest) -> Answerer:
            return answer

    ada = await Phone(http, both[0].url, "ada").registered()
    both[0]._calls._destinations = [Everybody()]
    box = both[0]._store._boxes["acme"]
    send, held = box._send_first, asyncio.Event()

    async def hold(fence: str, *, release: bool = False) -> None:
        if release:
            await held.wait()
        await send(fence, release=release)

    box._send_first = hold
    placing = start_task(ada.call("echo", call_id="held"), name="place")
    await asyncio.sleep(0.1)
    assert not asked
    held.set()
    assert (await placing).status == 200
    async with asyncio.timeout(10):
        while not asked:
            await asyncio.sleep(0.01)

    async def lose(fence: str, *, release: bool = False) -> None:
        if release:
            await box._pipeline.ask("DEL", box.key("turn"))
        await send(fence, release=release)

    box._send_first = lose
    assert (await ada.call("echo", call_id="lost")).status == 503
    await asyncio.sleep(0.05)
    assert asked == ["held"]
