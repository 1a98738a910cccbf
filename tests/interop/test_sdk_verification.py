"""The official SDK (sinch-rtc 1.4.12) verifies numbers: text message, flash call, and a call in which somebody confirms with a key."""

import asyncio
import base64
import re
from contextlib import suppress
from typing import Any

from sinchphone.engine.events.events import IncomingCall
from sinchphone.errors import LocalProtocolError, MediaError
from sinchphone.exchange.options import ApplicationCredentials
from sinchphone.local.management import ExchangeManagement
from sinchphone.local.signed_requests import SignedRequests
from tests.interop.conftest import APPLICATION, SECRET

NUMBER = "+46700000001"
LIMIT_S = 20.0


async def code_for(town: Any) -> str:
    async with asyncio.timeout(LIMIT_S):
        while not (came := town.exchange.sms.messages("acme", NUMBER)):
            await asyncio.sleep(0.05)
    found = re.search(r"(\+1\d{10}|\d{4})$", came[-1].text)
    assert found
    return found[1]


async def test_the_sdk_verifies_by_text_message_and_is_told_of_a_wrong_code(town: Any) -> None:
    sdk = await town.sdk(calling=False)
    sdk.do("verify", number=NUMBER, method="sms")
    await sdk.told("initiated", method="sms")
    sdk.do("report", method="sms", code="none")
    assert "Could not verify code" in (await sdk.told("failed"))["text"]
    sdk.do("report", method="sms", code=await code_for(town))
    assert (await sdk.told("verified", method="sms"))["status"] == "SUCCESSFUL"


async def test_the_sdk_verifies_by_flash_call(town: Any) -> None:
    sdk = await town.sdk(calling=False)
    sdk.do("verify", number=NUMBER, method="flashcall")
    await sdk.told("initiated", method="flashcall")
    sdk.do("report", method="flashcall", code=await code_for(town))
    assert (await sdk.told("verified", method="flashcall"))["status"] == "SUCCESSFUL"


async def test_the_sdk_waits_until_whoever_is_called_has_confirmed_with_a_key(town: Any, steps: Any) -> None:
    credentials = ApplicationCredentials(APPLICATION, base64.b64encode(SECRET).decode())
    await ExchangeManagement(SignedRequests(town.exchange.url, credentials)).add_user("ada", number=NUMBER)
    phone = await town.phone("ada")
    sdk = await town.sdk(calling=False)
    sdk.do("verify", number=NUMBER, method="callout")
    call = (await steps.event(phone, IncomingCall)).call
    await call.answer(sound=town.sound(440)[1])
    async with asyncio.timeout(LIMIT_S):
        while not sdk.count("verified"):
            with suppress(LocalProtocolError, MediaError):  # too early, or over
                await call.dtmf("1")
            await asyncio.sleep(0.5)
