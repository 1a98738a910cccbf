"""A simulated phone calls a number of the exchange's: the backend's ICE, the dial plan, or a user; over HTTP."""

import asyncio
import base64
import io
import wave
from typing import Any

import numpy as np
import pytest

CALLS = "/__sinchphone/calls"
TO, FROM, STAYS = "+46700000001", "+46700000002", "+14155550120"


def tone_file(hz: float, seconds: float) -> str:
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(48_000)
        written.writeframes((8000 * np.sin(2 * np.pi * hz * np.arange(round(48_000 * seconds)) / 48_000)).astype(np.int16).tobytes())
    return base64.b64encode(file.getvalue()).decode()


async def dial(developer: Any, to: str = TO, **members: Any) -> Any:
    status, said = await developer.ask("POST", CALLS, {"to": to, "from": FROM, **members})
    assert status == 201, said
    return said


async def until(developer: Any, call: Any, state: str) -> Any:
    async with asyncio.timeout(20):
        while (said := (await developer.ask("GET", f"{CALLS}/{call['id']}"))[1])["state"] != state:
            await asyncio.sleep(0.02)
    return said


async def test_the_backend_is_asked_as_about_a_call_from_a_phone(developer: Any, action: Any) -> None:
    backend = await developer.use_backend()
    backend.answers["ice"] = action("hangup")
    call = await dial(developer)
    said = await until(developer, call, "ended")
    ice = await backend.heard("ice")
    assert (ice["originationType"], ice["domain"], ice["cli"]) == ("pstn", "pstn", FROM)
    assert ice["to"] == {"type": "did", "endpoint": TO}
    assert said["failure"]["status"] == 603
    assert (await backend.heard("dice"))["from"] == FROM


async def test_the_phone_plays_a_file_hears_its_echo_presses_keys_and_hangs_up(developer: Any, action: Any) -> None:
    backend = await developer.use_backend()
    backend.answers |= {"ice": action("connectPstn", number=STAYS), "ace": action("continue")}
    call = await dial(developer, sound=tone_file(440, 0.8), endAfterSound=True, digits="12")
    said = await until(developer, call, "ended")
    assert "failure" not in said
    assert 0.7 < said["seconds"] < 5
    assert said["heardSeconds"] > 0.4, "the number echoes"
    assert (await backend.heard("dice"))["reason"] == "CALLERHANGUP"


async def test_a_call_is_hung_up_from_outside(developer: Any, action: Any) -> None:
    backend = await developer.use_backend()
    backend.answers |= {"ice": action("connectPstn", number=STAYS), "ace": action("continue")}
    call = await dial(developer, tone=440)
    await until(developer, call, "answered")
    assert await developer.ask("DELETE", f"{CALLS}/{call['id']}") == (200, {})
    assert "failure" not in await until(developer, call, "ended")


async def test_a_caller_may_withhold_the_number(developer: Any, action: Any) -> None:
    backend = await developer.use_backend()
    backend.answers["ice"] = action("hangup")
    assert (await developer.ask("POST", CALLS, {"to": TO, "from": "private"}))[0] == 201
    assert (await backend.heard("ice"))["cli"] == "private"


async def test_a_number_that_nobody_has_is_not_found_and_one_that_rings_gives_up(developer: Any) -> None:
    assert (await until(developer, await dial(developer), "ended"))["failure"]["status"] == 404
    rings = await dial(developer, "+14155550123", ringSeconds=1)
    await until(developer, rings, "ringing")
    assert (await until(developer, rings, "ended"))["failure"]["status"] == 480


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        b"{",
        {"to": TO},
        {"to": "nobody", "from": FROM},
        {"to": 46700000001, "from": FROM},
        {"to": TO, "from": "me"},
        {"to": TO, "from": FROM, "digits": "1;2"},
        {"to": TO, "from": FROM, "tone": 0},
        {"to": TO, "from": FROM, "tone": "high"},
        {"to": TO, "from": FROM, "seconds": -1},
        {"to": TO, "from": FROM, "sound": "!"},
        {"to": TO, "from": FROM, "sound": base64.b64encode(b"no sound").decode()},
        {"to": TO, "from": FROM, "endAfterSound": 1},
        {"to": TO, "from": FROM, "endaftersound": True},
    ],
)
async def test_what_is_no_call_is_refused(developer: Any, body: Any) -> None:
    assert (await developer.ask("POST", CALLS, body))[0] == 400


async def test_only_who_has_the_secret_may_and_only_their_own_calls(developer: Any) -> None:
    call = await dial(developer, "+14155550123")
    for verb in ("GET", "DELETE"):
        assert (await developer.ask(verb, f"{CALLS}/{call['id']}", key="globex"))[0] == 404
        assert (await developer.ask(verb, f"{CALLS}/nobody"))[0] == 404
    async with developer.session.post(developer.exchange.url + CALLS, json={"to": TO, "from": FROM}) as answer:
        assert answer.status == 401
    async with developer.session.post(
        developer.exchange.url + CALLS, json={"to": TO, "from": FROM}, headers={"Authorization": "application acme"}
    ) as answer:
        assert answer.status == 401


async def test_a_reset_ends_calls_and_forgets_numbers_and_verifications(developer: Any) -> None:
    callout = await developer.call_out("customCallout", destination={"endpoint": STAYS}, cli=FROM)
    call = await dial(developer, "+14155550123")
    await developer.ask("POST", "/v1/configuration/numbers", {"numbers": [TO]})
    await developer.answered(callout)
    assert (await developer.ask("POST", "/__sinchphone/reset", {}))[0] == 200
    assert (await developer.ask("GET", f"/calling/v1/calls/id/{callout}"))[0] == 404
    assert (await developer.ask("GET", f"{CALLS}/{call['id']}"))[0] == 404
    assert (await developer.ask("GET", "/v1/configuration/numbers"))[1] == {"numbers": []}
