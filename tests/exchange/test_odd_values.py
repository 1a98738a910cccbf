"""Values that no honest client sends: times at the ends of the calendar, text that is none, numbers without end. None of them is a 500."""

import time
from typing import Any

import pytest

from sinchphone.signaling.ocra.names import OPERATIONS, OcraOperation
from sinchphone.signaling.wire import read_time, write_time

YEARS = [
    "0001-01-01T00:00:00.000Z",
    "0001-01-01T00:00:00+14:00",
    "1969-12-31T23:59:59Z",
    "9999-12-31T23:59:59.999Z",
    "9999-12-31T23:59:59-14:00",
]
DEEP = b"[" * 5_000 + b"]" * 5_000
TEXTS = [
    b'"\\ud800"',
    b'"\\udfff and more"',
    b'"\xed\xa0\x80"',
    b'"\xff"',
    b"NaN",
    b"Infinity",
    b"-1e999",
    b"[" * 5_000 + b"]" * 5_000,
    b"9" * 5_000,
]


@pytest.mark.parametrize("expire_at", [*YEARS, "10000-01-01T00:00:00Z", "now", "2031-13-01", ""])
async def test_attack_an_instance_that_ends_at_the_end_of_the_calendar(phone: Any, expire_at: str) -> None:
    bob = phone("bob")
    created = await bob.send_registration(bob.token(), expireAt=expire_at)
    bob = await bob.registered()
    path = OPERATIONS[OcraOperation.PROLONG_INSTANCE].path(user="bob", instance=bob.instance)
    prolonged = await bob.send("PUT", path, f'{{"expireAt":"{expire_at}"}}'.encode(), f"Bearer {bob.token()}")
    expected = 200 if expire_at in YEARS else 400
    assert (created.status, prolonged.status) == (expected, expected), (created.body, prolonged.body)


def test_times_are_written_and_read_up_to_the_ends_of_the_calendar() -> None:
    for text in YEARS:
        assert read_time(write_time(read_time(text))) == pytest.approx(read_time(text), abs=14 * 3600 + 1)
    for seconds in (1e300, -1e300, 253_402_300_799.9999, time.time()):
        assert len(write_time(seconds)) == 24


@pytest.mark.parametrize("value", TEXTS)
async def test_attack_a_profile_that_can_not_be_written(legacy: Any, value: bytes) -> None:
    ada = legacy("ada")
    user = b'{"password":"not-a-secret","identities":[{"type":"username","endpoint":"ada"}],"profile":{"name":%b}}' % value
    created = await ada.send("POST", "/v1/users", user, "application acme")
    assert created.status == 400, created.body
    assert created.body["errorCode"] == 40001


@pytest.mark.parametrize("value", TEXTS)
@pytest.mark.parametrize("member", ["deviceId", "capabilities", "version", "filler"])
async def test_attack_a_registration_with_text_that_is_none(phone: Any, member: str, value: bytes) -> None:
    bob = phone("bob")
    body = b'{"userId":"bob","deviceId":"d","capabilities":[],"version":{},"%b":%b}' % (member.encode(), value)
    answer = await bob.send("POST", OPERATIONS[OcraOperation.CREATE_INSTANCE].path(), body, f"Bearer {bob.token()}")
    assert answer.status in ((200, 400) if member == "filler" else (400,)), answer.body
