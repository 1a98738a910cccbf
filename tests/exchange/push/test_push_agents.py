"""User agents at the push service, over their WebSocket: what makes no sense is sent away, and nothing else comes of it."""

import logging
from typing import Any

import aiohttp
import pytest

from sinchphone.exchange.push.service import SERVICE_PATH
from sinchphone.exchange.server import Exchange


@pytest.mark.parametrize("updates", [5, "ab", [5], [[]], {"version": "1"}, [{}] * 300])
async def test_attack_acknowledgements_that_are_none(
    exchange: Exchange, http: aiohttp.ClientSession, updates: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with http.ws_connect(f"{exchange.url}{SERVICE_PATH}") as agent:
        await agent.send_json({"messageType": "hello", "uaid": "", "use_webpush": True})
        assert (await agent.receive_json())["messageType"] == "hello"
        await agent.send_json({"messageType": "ack", "updates": updates})
        assert (await agent.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSE
        assert agent.close_code == aiohttp.WSCloseCode.POLICY_VIOLATION
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]
