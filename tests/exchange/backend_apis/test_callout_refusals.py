"""Callouts that can't be: each is refused as the platform words it, and nothing is called."""

import base64
import json
import time
from typing import Any

import pytest

from sinchphone.protocol.auth import sign_request
from sinchphone.signaling.wire import write_time
from tests.exchange.backend_apis.conftest import JSON, SECRETS

NUMBER = {"type": "number", "endpoint": "+14155550120"}
CALLOUTS = "/calling/v1/callouts"


def tts(**members: Any) -> dict[str, Any]:
    return {"method": "ttsCallout", "ttsCallout": {"destination": NUMBER, "cli": "+46700000001", "text": "Hi"} | members}


def custom(**members: Any) -> dict[str, Any]:
    return {"method": "customCallout", "customCallout": {"destination": NUMBER, "cli": "+46700000001"} | members}


def conference(**members: Any) -> dict[str, Any]:
    return {"method": "conferenceCallout", "conferenceCallout": {"destination": NUMBER, "conferenceId": "tea"} | members}


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "method"),
        ([], "body"),
        (b"\x00", "JSON"),
        ({"method": 5}, "method"),
        ({"method": "danceCallout", "danceCallout": {}}, "method"),
        ({"method": "ttsCallout"}, "ttsCallout"),
        ({"method": "ttsCallout", "customCallout": {}}, "ttsCallout"),
        ({"method": "ttsCallout", "ttsCallout": "Hi"}, "ttsCallout"),
        (tts(destination=None), "destination"),
        (tts(destination="+46700000000"), "destination"),
        (tts(destination={"type": "pigeon", "endpoint": "x"}), "type"),
        (tts(destination={"type": "number"}), "endpoint"),
        (tts(destination={"type": "number", "endpoint": 46700000000}), "endpoint"),
        (tts(destination={"type": "number", "endpoint": "x" * 10_000}), "endpoint"),
        (tts(destination={"type": "number", "endpoint": "12"}), "endpoint"),
        (tts(text=None), "text"),
        (tts(text=["Hi"]), "text"),
        (tts(text="x" * 601), "text"),
        (tts(cli="nobody"), "cli"),
        (tts(custom={"a": 1}), "custom"),
        (tts(custom="ä" * 1000), "custom"),
        (tts(dtmf="12;drop"), "dtmf"),
        (tts(enableAce="yes"), "enableAce"),
        (tts(locale=5), "locale"),
        (custom(maxDuration=0), "maxDuration"),
        (custom(maxDuration=14_401), "maxDuration"),
        (custom(maxDuration="long"), "maxDuration"),
        (custom(ice="{"), "ice"),
        (custom(ice={"action": {"name": "hangup"}}), "ice"),
        (custom(ice=json.dumps({"action": {"name": "continue"}})), "ice"),
        (custom(ace=json.dumps({"action": {"name": "connectPstn"}})), "ace"),
        (custom(ace="ftp://127.0.0.1/ace"), "ace"),
        (custom(ace="http://user:word@127.0.0.1/ace"), "ace"),
        (custom(destination=None), "destination"),
        (conference(conferenceId=None), "conferenceId"),
        (conference(conferenceId="a b"), "conferenceId"),
        (conference(conferenceId="x" * 65), "conferenceId"),
        (conference(mohClass="polka"), "moh"),
        (conference(conferenceDtmfOptions={"mode": "shout"}), "mode"),
    ],
)
async def test_what_is_wrong_is_named(developer: Any, body: Any, named: str) -> None:
    status, said = await developer.ask("POST", CALLOUTS, body)
    assert (status, said["errorCode"] in (40001, 40002)) == (400, True), said
    assert named in said["message"]
    assert said["reference"]


async def test_help_is_not_called(developer: Any) -> None:
    status, said = await developer.ask("POST", CALLOUTS, tts(destination={"type": "number", "endpoint": "+46112"}))
    assert (status, said["errorCode"]) in ((400, 40001), (403, 40300))
    assert "emergency" in said["message"] or "short" in said["message"]


async def test_help_in_a_form_that_can_be_called_is_a_forbidden_destination(developer: Any) -> None:
    status, said = await developer.ask("POST", CALLOUTS, tts(destination={"type": "number", "endpoint": "112"}))
    assert (status, said["errorCode"]) == (403, 40300)


@pytest.mark.parametrize(("off_s", "code"), [(0.0, 40001), (-3600.0, 40107), (3600.0, 40107), (None, 40101)])
async def test_a_time_that_is_off_or_none_is_told_from_a_wrong_signature(developer: Any, off_s: float | None, code: int) -> None:
    stamp = "yesterday" if off_s is None else write_time(time.time() + off_s)
    secret = base64.b64decode(SECRETS["acme"])
    signature = sign_request("POST", CALLOUTS, b"{}", JSON, stamp, secret)
    headers = {"x-timestamp": stamp, "Authorization": f"Application acme:{signature}"}
    status, said = await developer.ask("POST", CALLOUTS, b"{}", headers=headers)
    assert (status, said["errorCode"]) == (400 if code == 40001 else 401, code)


async def test_a_body_too_large_is_refused(developer: Any) -> None:
    assert (await developer.ask("POST", CALLOUTS, tts(prompts="x" * 300_000)))[0] == 413


async def test_two_equal_callouts_of_one_moment_are_two_calls(developer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    calls = [(await developer.ask("POST", CALLOUTS, tts()))[1]["callId"] for _ in range(2)]
    assert len(set(calls)) == 2


async def test_what_the_api_has_not_says_so(developer: Any) -> None:
    status, said = await developer.ask("GET", "/calling/v1/services")
    assert (status, said["errorCode"]) == (501, 50100)
