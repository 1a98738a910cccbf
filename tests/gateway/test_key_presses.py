"""A key that a phone tells of twice, by signaling and in the media, is one key; one that is pressed twice is two."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sinchphone.gateway.bridging.key_presses import HOLD_SECONDS, TOLERANCE_SECONDS, DigitPath, KeyPresses, SignalledDigits
from sinchphone.gateway.bridging.local_ends.local_end import LocalEnd
from sinchphone.gateway.legs.leg import DigitPressed
from sinchphone.gateway.relay.relay import MediaTransport
from sinchphone.media.outbox import Outbox
from sinchphone.media.port import PortDigitHeard
from sinchphone.protocol.sdp.jsep import Description
from sinchphone.tasks import start_task

MEDIA, SIGNALING = DigitPath.MEDIA, DigitPath.SIGNALING
LATER = 100 * TOLERANCE_SECONDS


def counted(*told: tuple[str, DigitPath, float], duration_ms: int = 100) -> str:
    presses = KeyPresses()
    return "".join(digit for digit, path, at in told if presses.counts(digit, path, duration_ms, at))


@pytest.mark.parametrize(("first", "then"), [(MEDIA, SIGNALING), (SIGNALING, MEDIA)])
def test_a_key_that_comes_in_two_ways_counts_once(first: DigitPath, then: DigitPath) -> None:
    assert counted(("5", first, 0.0), ("5", then, 0.1)) == "5"
    assert counted(("5", first, 0.0), ("5", then, 0.05), ("5", first, 0.3), ("5", then, 0.35), ("6", first, 1.0)) == "556"
    assert counted(("5", first, 0.0), ("5", first, 0.2), ("5", then, 0.5), ("5", then, 0.7)) == "55"


@pytest.mark.parametrize("path", [MEDIA, SIGNALING])
def test_a_key_that_is_pressed_twice_counts_twice(path: DigitPath) -> None:
    assert counted(("5", path, 0.0), ("5", path, 0.2), ("5", path, 0.4)) == "555"


def test_a_phone_that_tells_some_keys_one_way_and_some_the_other_is_believed() -> None:
    assert counted(("1", MEDIA, 0.0), ("2", SIGNALING, 0.1), ("3", MEDIA, 0.2)) == "123"
    assert counted(("1", MEDIA, 0.0), ("1", SIGNALING, LATER)) == "11"


def test_a_key_that_is_held_down_for_long_is_one_though_its_end_comes_late() -> None:
    presses = KeyPresses()
    assert presses.counts("5", SIGNALING, 160, 1.0)  # told when it goes down
    assert not presses.counts("5", MEDIA, 6000, 7.0)  # told when it comes up
    assert presses.counts("5", MEDIA, 6000, 14.0)


def test_what_is_kept_is_bounded() -> None:
    presses = KeyPresses()
    assert all(presses.counts("1", MEDIA, 100, float(number)) for number in range(1000))


async def test_a_digit_by_signaling_waits_for_its_double_in_the_media() -> None:
    digits = SignalledDigits()
    digits.signalled("5", 160)
    digits.heard("5", 100)
    digits.heard("6", 100)
    digits.signalled("6", 160)
    digits.signalled("7", 160)
    async with asyncio.timeout(20 * HOLD_SECONDS):
        assert await digits.next() == ("7", 160)
    digits.signalled("8", 160)
    async with asyncio.timeout(20 * HOLD_SECONDS):
        assert await digits.next() == ("8", 160)


async def test_a_menu_hears_a_key_that_comes_in_two_ways_once() -> None:
    tasks: list[asyncio.Task[None]] = []
    news = Outbox[Any]()

    async def answer(offer: Description) -> Description:
        return Description("answer", "v=0")

    port = SimpleNamespace(close=None, leg=None, events=lambda: news, answer=answer)
    caller = SimpleNamespace(offer="v=0", transport=MediaTransport.RTP)
    lifetime = SimpleNamespace(caller=caller, keep=lambda _: None, spawn=lambda work, _: tasks.append(start_task(work, name="work")))
    end = LocalEnd(cast(Any, lifetime), cast(Any, port), cast(Any, None))
    await end.open()
    for told in ("5", "5", "6"):
        await end.take(DigitPressed(digit=told, duration_ms=100))
        news.put(PortDigitHeard(digit=told, duration_ms=100))
    news.put(PortDigitHeard(digit="7", duration_ms=100))
    digits = end.heard_digits()
    async with asyncio.timeout(10):
        assert [await anext(digits) for _ in range(4)] == ["5", "5", "6", "7"]
    for task in tasks:
        task.cancel()
