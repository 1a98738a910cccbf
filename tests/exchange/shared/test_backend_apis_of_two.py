"""What a backend tells one of several processes, the others know: texts, verifications, numbers; and what counts once counts once."""

import asyncio
import base64
import json
import re
import time
from collections import Counter
from typing import Any

import aiohttp
import pytest

from sinchphone.exchange.server import Exchange
from sinchphone.protocol.auth import sign_request
from sinchphone.signaling.wire import write_time
from tests.exchange.conftest import SECRETS
from tests.exchange.shared.conftest import Join, RedisServer

ALL = "/verification/v1/verifications"
NUMBERS = "/v1/configuration/numbers"
NUMBER = "+46700000001"
JSON = "application/json"


@pytest.fixture
async def both(join: Join, redis: RedisServer) -> tuple[Exchange, Exchange]:
    first, second = await asyncio.gather(*(join(redis.address, applications=SECRETS) for _ in range(2)))
    return first, second


Ask = Any


@pytest.fixture
def ask(http: aiohttp.ClientSession) -> Ask:
    """A signed request to one process."""

    async def send(exchange: Exchange, verb: str, path: str, body: Any = None, *, key: str = "acme") -> tuple[int, Any]:
        content, stamp = b"" if body is None else json.dumps(body).encode(), write_time(time.time())
        signature = sign_request(verb, path, content, JSON, stamp, base64.b64decode(SECRETS[key]))
        sent = {"Content-Type": JSON, "x-timestamp": stamp, "Authorization": f"Application {key}:{signature}"}
        async with http.request(verb, exchange.url + path, data=content or None, headers=sent) as answer:
            return answer.status, await answer.json()

    return send


async def begin(ask: Ask, at: Exchange, look_at: Exchange) -> tuple[str, str]:
    """A verification that began at one; its path, and the code as another has it."""
    status, said = await ask(at, "POST", ALL, {"identity": {"type": "number", "endpoint": NUMBER}, "method": "sms"})
    assert status == 200, said
    _, texts = await ask(look_at, "GET", "/__sinchphone/sms")
    found = re.search(r"[0-9]{4}$", texts["messages"][-1]["text"])
    assert found
    return f"{ALL}/id/{said['id']}", found[0]


def report(code: str) -> dict[str, Any]:
    return {"method": "sms", "sms": {"code": code}}


async def test_a_code_that_one_sent_is_reported_to_another_and_counts_once_over_all(both: Any, ask: Ask) -> None:
    path, code = await begin(ask, both[0], both[1])
    answers = await asyncio.gather(*(ask(both[number % 2], "PUT", path, report(code)) for number in range(6)))
    assert Counter(status for status, _ in answers) == {200: 1, 400: 5}
    for exchange in both:
        assert (await ask(exchange, "GET", path))[1]["status"] == "SUCCESSFUL"


async def test_who_guesses_a_code_has_no_more_tries_by_asking_several_processes(both: Any, ask: Ask) -> None:
    path, code = await begin(ask, both[0], both[1])
    wrong = [f"{number:04}" for number in range(9) if f"{number:04}" != code]
    await asyncio.gather(*(ask(both[number % 2], "PUT", path, report(guess)) for number, guess in enumerate(wrong[:5])))
    for exchange in both:
        assert (await ask(exchange, "PUT", path, report(code)))[0] == 400
        assert (await ask(exchange, "GET", path))[1]["reason"] == "Invalid code"


async def test_a_new_code_at_one_process_ends_the_one_that_another_sent(both: Any, ask: Ask) -> None:
    old, code = await begin(ask, both[0], both[1])
    new, _ = await begin(ask, both[1], both[0])
    assert (await ask(both[0], "PUT", old, report(code)))[0] == 400
    assert [(await ask(both[0], "GET", path))[1]["status"] for path in (old, new)] == ["ABORTED", "PENDING"]


async def test_a_number_that_two_applications_want_at_two_processes_is_of_one(both: Any, ask: Ask) -> None:
    for number in range(5):
        body = {"numbers": [f"+4670000010{number}"]}
        wants = ((both[0], "acme"), (both[1], "globex"))
        answers = await asyncio.gather(*(ask(exchange, "POST", NUMBERS, body, key=key) for exchange, key in wants))
        assert sorted(status for status, _ in answers) == [200, 403]
    listed = []
    for exchange in both:
        answers = [await ask(exchange, "GET", NUMBERS, key=key) for key in SECRETS]
        listed.append(sorted(one["number"] for _, said in answers for one in said["numbers"]))
    assert listed[0] == listed[1] and len(listed[0]) == 5


async def test_texts_that_one_process_forgets_the_other_has_no_more(both: Any, ask: Ask) -> None:
    await begin(ask, both[0], both[1])
    assert (await ask(both[1], "DELETE", "/__sinchphone/sms"))[1] == {"cleared": 1}
    assert (await ask(both[0], "GET", "/__sinchphone/sms"))[1] == {"messages": []}
