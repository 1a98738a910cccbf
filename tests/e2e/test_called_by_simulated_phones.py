"""A simulated phone calls a user who has the number, with sound both ways; and the user's number is verified from Python."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from sinchphone.engine.client import SinchClient
from sinchphone.errors import NotFoundError, PlatformError
from sinchphone.local import Local
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.verification import VerificationStatus
from sinchphone.signaling.services.verification import WrongCodeError

ADA, FROM = "+46700000001", "+46700000002"
LIMIT_S = 20.0


async def test_the_user_who_has_the_number_is_called_and_both_hear_each_other(
    tmp_path: Path, media: MediaThread, lines: Any, steps: Any
) -> None:
    async with Local(tmp_path, port=0, media=media) as local:
        await local.open()
        await local.management.add_user("ada", number=ADA)
        town = type(lines)(local, media, lines.stack)
        ada = await town.phone("ada")
        call = await local.management.dial(ADA, FROM, tone_hz=620, digits="12")
        incoming = await steps.next_call(ada)
        assert incoming.peer == FROM
        ear, sound = town.ear(440)
        await incoming.answer(sound=sound)
        await ear.hears(620)
        async with asyncio.timeout(LIMIT_S):
            while (await call.look()).heard_s <= 0.5:
                await asyncio.sleep(0.1)
            await incoming.hang_up()
            ended = await call.ended()
        assert ended.failure is None
        assert ended.heard_s > 0.5
        await lines.stack.aclose()


async def test_a_call_that_a_reset_ended_is_known_no_more(tmp_path: Path, media: MediaThread) -> None:
    async with Local(tmp_path, port=0, media=media) as local:
        call = await local.management.dial("+14155550101", "private")
        await local.management.reset()
        with pytest.raises(PlatformError, match="knows nothing of this call"):
            await asyncio.wait_for(call.ended(), LIMIT_S)
        await call.hang_up()


async def test_a_number_is_verified_from_python(tmp_path: Path, media: MediaThread) -> None:
    async with Local(tmp_path, port=0, media=media) as local:
        verification = SinchClient("ada", local, media=media).verification
        one = await verification.start(ADA, "sms", custom="of mine")
        assert (await one.status()).status is VerificationStatus.PENDING
        text = (await local.management.texts(ADA))[-1].text
        with pytest.raises(WrongCodeError):
            await one.verify("none")
        code = re.search(r"\d{4}$", text)
        assert code
        assert (await one.verify(code[0])).status is VerificationStatus.SUCCESSFUL
        with pytest.raises(NotFoundError):
            await verification.ask("GET", "/verification/v1/verifications/id/nobody")
