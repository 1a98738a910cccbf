"""Clocks that differ: the server's time is what is signed with, and where that can't be, the hint says that it's the clock."""

import base64
import time
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import aiohttp
import pytest

from sinchphone.engine.environment import Cloud
from sinchphone.errors import AuthenticationError
from sinchphone.exchange.server import Exchange
from sinchphone.signaling.ocra.dialect import OcraDialect
from sinchphone.signaling.papi.dialect import PapiDialect
from sinchphone.signaling.rest.instances import MemoryInstanceStore

SECRET = base64.b64encode(b"a" * 16).decode()
Api = Literal["ocra", "papi"]


def speak(http: aiohttp.ClientSession, url: str, api: Api, off_s: float, given_at: float | None = None) -> OcraDialect | PapiDialect:
    """A client whose clock is off; its backend's too where it's given a token of ``given_at``."""
    cloud, user = Cloud("acme", secret=SECRET, api=api), "ada"
    clock = lambda: time.time() + off_s  # noqa: E731
    dialect: OcraDialect | PapiDialect

    async def prove() -> str:
        return await cloud.token(user, dialect.now if given_at is None else given_at)

    if api == "papi":
        dialect = PapiDialect(http, url, "acme", user, ticket=prove, store=MemoryInstanceStore(), clock=clock)
    else:
        dialect = OcraDialect(http, url, "acme", user, token=prove, store=MemoryInstanceStore(), clock=clock)
    return dialect


@pytest.mark.parametrize("api", ["ocra", "papi"])
@pytest.mark.parametrize("off_s", [0.0, 3_600.0, -3_600.0, 86_400.0 * 400])
async def test_a_clock_that_is_off_does_not_keep_us_from_registering(http: Any, exchange: Exchange, api: Api, off_s: float) -> None:
    dialect = speak(http, exchange.url, api, off_s)
    registration = await dialect.register()
    assert registration.instance.user_id == "ada"
    assert abs(dialect.now - time.time()) < 5
    await dialect.close()


@pytest.mark.parametrize("api", ["ocra", "papi"])
async def test_a_token_that_was_signed_with_a_clock_ahead_is_blamed_on_the_clock_and_not_on_the_key(
    http: Any, exchange: Exchange, api: Api
) -> None:
    dialect = speak(http, exchange.url, api, 3_600.0, given_at=time.time() + 3_600)
    with pytest.raises(AuthenticationError) as refused:
        await dialect.register()
    assert "clock" in refused.value.hint
    assert "key" not in refused.value.hint


async def test_a_wrong_key_with_a_good_clock_is_blamed_on_the_key(http: Any, exchange: Exchange) -> None:
    async def ticket() -> str:
        return await Cloud("acme", secret=base64.b64encode(b"another secret..").decode(), api="papi").token("ada")

    dialect = PapiDialect(http, exchange.url, "acme", "ada", ticket=ticket, store=MemoryInstanceStore())
    with pytest.raises(AuthenticationError) as refused:
        await dialect.register()
    assert "key" in refused.value.hint


async def test_the_time_is_told_to_anybody_and_the_instance_refused(legacy: Callable[..., Any]) -> None:
    """The official client waits for ever where the time is refused: a wrong application key must be refused later."""
    stranger: Any = legacy("ada", application="acme")
    told: Callable[[str], Awaitable[Any]] = lambda authorization: stranger.send("GET", "/v1/timestamp/", b"", authorization)  # noqa: E731
    for authorization in ("application wrong-key", "application acme", "", "nonsense"):
        answer = await told(authorization)
        assert answer.status == 200, authorization
        assert "timestamp" in answer.body
    ticket = legacy("ada").ticket(application="wrong-key")
    refused = await stranger.send("POST", "/v1/instance", b"{}", f"user {ticket}")
    assert refused.status == 401
    assert refused.body["errorCode"] == 40108
    assert refused.body["message"]
